/* SPDX-License-Identifier: GPL-3.0-or-later */
/* --script: an expect-like program that types at the guest's consoles.
 *
 *     # comment
 *     console N          following lines are about serial port N (0 at first), or "console virtio"
 *     expect TEXT        go on when the guest has printed TEXT since the last expect
 *     send TEXT          type TEXT
 *     wait MS            let MS milliseconds of virtual time pass
 *     timeout SECONDS    later expects fail (status 74) after that much virtual time; 0: never
 *     stop               end the run with status 0
 *     TEXT => REPLY      short for `expect TEXT` and `send REPLY` with Enter
 *
 * TEXT runs to the end of the line; quotes around it keep blanks at its ends; escapes are \n \r \t
 * \e \\ \" and \xNN. Everything happens at virtual times that follow from what the guest prints. */
#ifndef VITRINE_MACHINE_SCRIPT_H
#define VITRINE_MACHINE_SCRIPT_H

#include "base/state.h"
#include "base/status.h"
#include "base/types.h"

struct machine;
struct script;

/* NULL with a line in *err when the text is not a script. `name` is for that line. */
struct script *script_new(struct machine *m, const char *text, const char *name,
                          struct error *err);
void script_free(struct script *s);
/* The guest printed a byte on a console. */
void script_see(struct script *s, unsigned console, u8 byte);
void script_state(struct script *s, struct state_io *io);

#endif
