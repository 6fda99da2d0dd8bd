/* screen.h - who may write to the terminal: the bar at its last line is taken
 * away while another line is written and drawn again after it. */
#ifndef VOX_CLI_SCREEN_H
#define VOX_CLI_SCREEN_H

void cli_screen_lock(void);
void cli_screen_unlock(void);

#endif
