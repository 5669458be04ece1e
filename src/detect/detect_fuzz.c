/* detect_fuzz.c - saved models from an enemy, and values from one.
 *
 * Input: one byte that chooses the config, two with the length of a saved model (low first), that model, then events of 17
 * bytes: how the time goes on, 8 bytes of ticks, 8 of the value. What loads must save to the same bytes; a model that
 * was not loaded must always save to something that loads. */
#include "base/buf.h"
#include "base/wire.h"
#include "detect/detect.h"
#include "detect/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct detect_config config_of(uint8_t choice)
{
    static const uint32_t history[] = {1, 8, 60, 300};
    struct detect_config c = {
        .algorithm = choice & 1 ? DETECT_FIELDGATE : DETECT_KDE,
        .kind = choice & 2 ? DETECT_CHANGE_POINT : DETECT_SPIKE_AND_DIP,
        .history_size = history[choice >> 2 & 3],
        .duration = choice & 16 ? 60 * DETECT_SECOND : DETECT_DURATION_MAX,
        .warm_up_report = choice & 32,
        .mode = (enum detect_mode)(choice >> 6 ? choice >> 6 : 3),
        .confidence = 95,
    };
    FG_ASSERT(detect_prepare(&c, NULL) == CODE_OK);
    return c;
}

static void check_result(const struct detect_result *r)
{
    FG_ASSERT(!r->is_anomaly || r->has_score);
    FG_ASSERT(!r->has_score || (r->score > 0 && r->score <= 1e308));
}

static void observe_all(struct detect_model *m, const struct detect_config *c, struct wire *w)
{
    int64_t now = 0;
    while (wire_left(w) >= 17) {
        uint8_t how = wire_u8(w);
        int64_t ticks = state_take_i64(w);
        double value = state_take_double(w);
        struct detect_result r;
        now = how & 1 ? ticks : (int64_t)((uint64_t)now + (uint64_t)(how >> 2) * (uint64_t)DETECT_SECOND);
        /* A value written out whole is rarely near another: most are small numbers instead. */
        if (how & 2)
            value = (double)(ticks & 0xff);
        if (detect_observe(m, now, value, how == 0xff, &r) == CODE_OK)
            check_result(&r);
        FG_ASSERT(detect_bytes(m) <= detect_bytes_max(c));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire w = wire_of(bytes_of(data, size));
    struct detect_config c = config_of(wire_u8(&w));
    struct bytes saved = wire_bytes(&w, wire_le16(&w));
    if (w.bad)
        return 0;
    struct detect_model *m = NULL, *again = NULL;
    struct buf out = {0};
    struct fault why = {0};
    if (saved.len) {
        if (detect_load(&c, saved, &m, &why)) {
            FG_ASSERT(why.text[0]);
            return 0;
        }
        detect_save(m, &out);
        FG_ASSERT(out.bad || bytes_equal(buf_bytes(&out), saved));
        buf_reset(&out);
    } else if (detect_create(&c, &m)) {
        return 0;
    }
    observe_all(m, &c, &w);
    struct detect_info info;
    detect_inspect(m, &info);
    detect_save(m, &out);
    if (detect_load(&c, buf_bytes(&out), &again, &why) == CODE_OK)
        detect_destroy(again);
    else
        FG_ASSERT(saved.len || out.bad || why.code == CODE_NOMEM);
    buf_clear(&out);
    detect_destroy(m);
    return 0;
}
