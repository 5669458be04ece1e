/* replay_main.c - runs a fuzz target over the files of its corpus, without a fuzzer.
 *
 * Usage: x_replay FOLDER. Each file is given whole, and each file of up to 256 bytes also cut at every byte, in a
 * block of exactly its length so that a sanitizer sees one byte too far. Fails when the folder has no file: a corpus
 * that went missing must not look like one that passed.
 *
 * This is test harness code: it calls libc directly, the code under test does not. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUT_BYTES_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_exact(const char *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (!copy)
        abort();
    /* At length 0 the block still has one byte; handing out its end makes reading it an overread. */
    uint8_t *start = len > 0 ? copy : copy + 1;
    if (len > 0)
        memcpy(copy, bytes, len);
    LLVMFuzzerTestOneInput(start, len);
    free(copy);
}

static char *read_whole(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *bytes = NULL;
    size_t cap = 0;
    *len = 0;
    for (;;) {
        if (*len == cap) {
            cap = cap ? cap * 2 : 4096;
            char *more = realloc(bytes, cap);
            if (!more)
                abort();
            bytes = more;
        }
        size_t n = fread(bytes + *len, 1, cap - *len, f);
        if (n == 0)
            break;
        *len += n;
    }
    fclose(f);
    return bytes;
}

static int replay(const char *folder, const char *name, unsigned long *runs)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    size_t len;
    char *bytes = read_whole(path, &len);
    if (!bytes) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    /* On a finding the sanitizer ends the process; this line then names the file. */
    fprintf(stderr, "%s\n", path);
    for (size_t cut = len <= CUT_BYTES_MAX ? 0 : len; cut <= len; cut++, ++*runs)
        run_exact(bytes, cut);
    free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (!dir) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    unsigned long files = 0, runs = 0;
    int failed = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        files++;
        failed |= replay(argv[1], e->d_name, &runs);
    }
    closedir(dir);
    printf("%lu files, %lu inputs\n", files, runs);
    if (files == 0)
        fprintf(stderr, "%s holds no input: nothing was tested\n", argv[1]);
    return failed || files == 0;
}
