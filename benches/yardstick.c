/*
 * The minimum that an IRC program can do: read, split at newlines, answer PING. With the port of a
 * bookmark service, it also makes the system calls that one link needs, in its own directory.
 *
 * The benchmark compares linkbot with it. usage: yardstick PORT [SERVICE_PORT]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
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

static void must(int done)
{
	if (!done) {
		perror("yardstick");
		exit(1);
	}
}

/* Replaces a file as linkbot replaces its feed and page. */
static void replace_file(const char *path, size_t size)
{
	static char text[64 * 1024];
	char temporary[64];
	int fd;

	snprintf(temporary, sizeof temporary, "%s.tmp", path);
	unlink(temporary);
	must((fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0644)) >= 0);
	must(fchmod(fd, 0644) == 0);
	must(write(fd, text, size) == (ssize_t)size);
	close(fd);
	must(rename(temporary, path) == 0);
}

/* The same work as linkbot for one link; it replaces the files at most once a second too. */
static void save_link(int irc, int service_port, const char *url, size_t length)
{
	static int journal = -1;
	static time_t shown;
	static const char saved[] = "PRIVMSG #dev :saved: Title For Link\r\n";
	static const char cursor[] = "2026-11-22T10:31:19.123Z\n";
	char request[2048], answer[2048];
	int n, service, fd;

	if (journal < 0)
		must((journal = open("links.tsv", O_RDWR | O_APPEND | O_CREAT, 0644)) >= 0);
	n = snprintf(request, sizeof request, "%sadd\t#dev\talice\t\t%.*s\n", cursor, (int)length, url);
	must(write(journal, request, n) == n);
	must(fdatasync(journal) == 0);
	must(write(irc, saved, sizeof saved - 1) > 0);

	service = dial(service_port);
	n = snprintf(request, sizeof request,
		"GET /v1/posts/add?url=%.*s&description=Title&tags=irc HTTP/1.1\r\n"
		"Host: localhost\r\nAccept: application/xml\r\n\r\n", (int)length, url);
	must(write(service, request, n) == n);
	while (read(service, answer, sizeof answer) > 0)
		;
	close(service);
	must((fd = open("links.tsv.delivered", O_WRONLY | O_CREAT, 0644)) >= 0);
	must(pwrite(fd, cursor, sizeof cursor - 1, 0) > 0);
	close(fd);
	if (time(NULL) != shown) {
		shown = time(NULL);
		replace_file("links.xml", 42 * 1024);
		replace_file("links.html", 28 * 1024);
	}
}

/* `line` ends with a newline. */
static void handle(int irc, int service_port, char *line, size_t length)
{
	char *url;

	if (length > 5 && memcmp(line, "PING ", 5) == 0) {
		line[1] = 'O';
		if (write(irc, line, length) != (ssize_t)length)
			exit(1);
	} else if (service_port && (url = memmem(line, length, ".url ", 5)) != NULL) {
		url += 5;
		save_link(irc, service_port, url, strcspn(url, " \r\n"));
	}
}

int main(int argc, char **argv)
{
	size_t held = 0;
	ssize_t n;
	int irc;

	if (argc != 2 && argc != 3)
		return 2;
	irc = dial(atoi(argv[1]));
	while ((n = read(irc, buffer + held, sizeof buffer - held)) > 0) {
		char *line = buffer, *end = buffer + held + n, *feed;

		while ((feed = memchr(line, '\n', end - line)) != NULL) {
			handle(irc, argc == 3 ? atoi(argv[2]) : 0, line, feed + 1 - line);
			line = feed + 1;
		}
		held = end - line;
		memmove(buffer, line, held);
	}
	return 0;
}
