"""sign_off"""
