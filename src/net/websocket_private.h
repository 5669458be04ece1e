/* websocket_private.h - what the files of WebSocket share. Not for others. */
#pragma once

#include "net/filter.h"
#include "net/websocket.h"
#include "net/websocket_frame.h"

/* base64 of SHA-1, with its NUL [RFC 6455, 4.2.2, 5.4] */
enum { WS_KEY_CHARS = 24, WS_ACCEPT_CHARS = 28, WS_DRAWN = 64 };

/* What only a client has. */
struct ws_client {
    struct buf  request, answer; /* until the handshake is done */
    char        accept[WS_ACCEPT_CHARS + 1];
    const char *protocol;        /* constant */
    uint8_t     drawn[WS_DRAWN]; /* masks must not be predictable [RFC 6455, 5.3] */
    size_t      drawn_left;
};

struct websocket {
    struct filter     filter; /* first */
    struct ws_client *client; /* NULL: we are the server */
    uint8_t  *control;        /* WS_CONTROL_MAX bytes, while a control frame is on its way */
    int64_t   ponged_us;      /* conn_progress_us at the last pong */
    uint64_t  left, at;       /* payload of the frame under way: to come, seen */
    uint32_t  frame_bytes;
    size_t  (*message)(struct bytes front); /* see struct websocket_rules */
    size_t    message_left;   /* of the message on its way to the peer: to come */
    uint16_t  frames;         /* of the message under way; 0: there is none */
    uint16_t  echo;           /* the code of the peer's close frame; 0: none came */
    bool      inside;         /* behind a head */
    bool      fin, closed;    /* closed: our close frame was sent */
    uint8_t   opcode, have;   /* have: bytes of a head */
    uint8_t   mask[4];
    uint8_t   head[WS_HEAD_MAX];
};

/* websocket.c. NULL: memory is out. */
struct websocket *ws_new(uint32_t frame_bytes, struct ws_client *client);
void              ws_client_free(struct ws_client *);
/* websocket_dial.c: the handshake's part of `in`; *rest is what follows it. */
enum code ws_client_start(struct filter *f, struct fault *why);
enum code ws_client_answer(struct websocket *ws, struct bytes in, struct bytes *rest, struct fault *why);
/* websocket_accept.c. False: the library has no SHA-1. */
bool ws_accept_of(struct bytes key, char out[WS_ACCEPT_CHARS + 1]);
/* Whether a list of tokens [RFC 9110, 5.6.1] has this one, in whatever case. */
bool ws_has_token(struct bytes list, const char *token);
void ws_count_closed(unsigned code);
