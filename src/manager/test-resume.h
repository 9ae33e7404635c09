/*
 * What tests of the engine, of signing off and of the end of jobs begin with: Resume.
 */
#pragma once

#include "manager/engine.h"

#include "workers/test-world.h"

static inline void resume_job(Engine *engine, Job *job)
{
        QueueMove move;

        assert_int_equal(engine_resume(engine, job, &move), 0);
        engine_follow(engine, job, &move);
}
