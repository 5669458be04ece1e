/* uv_pool.c - jobs on libuv's threads. */
#include "base/mem.h"
#include "net/uv_loop.h"

struct uv_job {
    uv_work_t        req;
    struct loop     *loop;
    struct pool_job *job;
};

static void work(uv_work_t *req)
{
    struct uv_job *u = req->data;
    u->job->work(u->job);
}

static void after_work(uv_work_t *req, int status)
{
    struct uv_job *u = req->data;
    struct loop *l = u->loop;
    struct pool_job *job = u->job;
    FG_ASSERT(status == 0); /* nobody cancels */
    mem_free(u);
    loop_begin(l);
    pool_done(l, job);
}

enum code uv_pool_submit(struct loop *l, struct pool_job *job)
{
    struct uv_job *u = mem_alloc(sizeof *u);
    if (!u)
        return CODE_NOMEM;
    u->loop = l;
    u->job = job;
    u->req.data = u;
    FG_ASSERT(uv_queue_work(&uv_loop_of(l)->uv, &u->req, work, after_work) == 0);
    return CODE_OK;
}
