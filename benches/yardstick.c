/*
 * The least that a program on IRC can do: read, cut at line ends, answer PING.
 *
 * What linkbot costs is told in multiples of this. usage: yardstick PORT
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[64 * 1024];

static int dial(int port)
{
	struct sockaddr_in server = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int irc = socket(AF_INET, SOCK_STREAM, 0);

	if (irc < 0 || connect(irc, (struct sockaddr *)&server, sizeof server) < 0) {
		perror("yardstick");
		exit(1);
	}
	return irc;
}

/* `line` ends in a line feed. */
static void handle(int irc, char *line, size_t length)
{
	if (length > 5 && memcmp(line, "PING ", 5) == 0) {
		line[1] = 'O';
		if (write(irc, line, length) != (ssize_t)length)
			exit(1);
	}
}

int main(int argc, char **argv)
{
	size_t held = 0;
	ssize_t n;
	int irc;

	if (argc != 2)
		return 2;
	irc = dial(atoi(argv[1]));
	while ((n = read(irc, buffer + held, sizeof buffer - held)) > 0) {
		char *line = buffer, *end = buffer + held + n, *feed;

		while ((feed = memchr(line, '\n', end - line)) != NULL) {
			handle(irc, line, feed + 1 - line);
			line = feed + 1;
		}
		held = end - line;
		memmove(buffer, line, held);
	}
	return 0;
}
