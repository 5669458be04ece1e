#include "net/pool.h"

#include "net/backend.h"

static _Atomic unsigned jobs;

enum code pool_submit(struct loop *l, struct pool_job *job)
{
    if (atomic_fetch_add(&jobs, 1) >= POOL_JOBS_MAX) {
        atomic_fetch_sub(&jobs, 1);
        return CODE_AGAIN;
    }
    enum code code = l->back->submit(l, job);
    if (code != CODE_OK)
        atomic_fetch_sub(&jobs, 1);
    return code;
}

void pool_done(struct loop *l, struct pool_job *job)
{
    atomic_fetch_sub(&jobs, 1);
    job->done(job, l);
}

unsigned pool_jobs(void)
{
    return atomic_load(&jobs);
}
