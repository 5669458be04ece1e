/* client.h - what the load generators share: blocking MQTT 3.1.1 clients, as much of the protocol as is needed, and what the
 * broker's process costs. Whatever fails ends the program. Included by one program each, compiled by bench/run.sh. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

/* Of a process, user and system; 0 when it is gone. */
static double cpu_us(int pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    char *at = strrchr(text, ')');
    unsigned long user = 0, sys = 0;
    if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
        return 0;
    return (double)(user + sys) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* ---- packets ---- */

/* A client identifier of up to 64 bytes, no keep alive. */
static size_t put_connect(uint8_t *at, const char *id, bool clean)
{
    size_t n = strlen(id);
    memcpy(at, "\x10\0\0\4MQTT\4\0\0\0\0\0", 14);
    at[1] = (uint8_t)(12 + n);
    at[9] = clean ? 2 : 0;
    at[13] = (uint8_t)n;
    memcpy(at + 14, id, n);
    return 14 + n;
}

static size_t put_text(uint8_t *at, const char *text)
{
    size_t n = strlen(text);
    at[0] = (uint8_t)(n >> 8);
    at[1] = (uint8_t)n;
    memcpy(at + 2, text, n);
    return 2 + n;
}

/* A PUBLISH up to its payload: type, length, topic, packet identifier (qos 0: none). */
static size_t put_head(uint8_t *at, const char *topic, int qos, uint16_t pid, size_t payload)
{
    size_t left = 2 + strlen(topic) + (qos ? 2 : 0) + payload, n = 0;
    at[n++] = (uint8_t)(0x30 | qos << 1);
    do {
        at[n] = (uint8_t)(left & 0x7f);
        left >>= 7;
        at[n++] |= left ? 0x80 : 0;
    } while (left);
    n += put_text(at + n, topic);
    if (qos) {
        at[n++] = (uint8_t)(pid >> 8);
        at[n++] = (uint8_t)pid;
    }
    return n;
}

/* ---- blocking ---- */

static void all(int fd, void *p, size_t n, bool out)
{
    while (n) {
        ssize_t r = out ? send(fd, p, n, MSG_NOSIGNAL) : recv(fd, p, n, 0);
        if (r <= 0)
            die(out ? "send" : "receive");
        p = (uint8_t *)p + r;
        n -= (size_t)r;
    }
}

/* A connected client. `receive_buffer` 0: the system's. */
static int open_client(int port, const char *id, bool clean, int receive_buffer)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint8_t b[128];
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    all(fd, b, put_connect(b, id, clean), true);
    all(fd, b, 4, false);
    if (b[0] != 0x20 || b[3] != 0)
        die("refused");
    return fd;
}

/* To a filter of up to 100 bytes. */
static void subscribe(int fd, const char *filter, int qos)
{
    uint8_t b[128] = { 0x82, 0, 0, 1 };
    size_t n = 4 + put_text(b + 4, filter);
    b[1] = (uint8_t)(n - 1);
    b[n++] = (uint8_t)qos;
    all(fd, b, n, true);
    all(fd, b, 5, false);
    if (b[0] != 0x90 || b[4] > 2)
        die("subscription refused");
}
