#!/usr/bin/env python3
"""A mail server that takes everything and delivers nothing: the end of all mail.

Usage: sinkd.py PORT DIR

The Nth message is kept as DIR/N.eml, byte for byte without dot-stuffing, its
envelope as DIR/N.json beside it: {"from": ..., "to": [...], "options": ...}; N.eml
appears last. Recipients called refused@... get a 550, later@... a 451.
"""
import itertools, json, os, re, socketserver, sys, threading

PORT, DIR = int(sys.argv[1]), sys.argv[2]
NUMBER, LOCK = itertools.count(1), threading.Lock()
REFUSED = {"refused": b"550 5.1.1 no such user", "later": b"451 4.2.0 come back later"}


class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line + b"\r\n")

    def handle(self):
        self.say(b"220 sink ESMTP")
        while line := self.rfile.readline():
            verb, _, args = line.strip().partition(b" ")
            verb = verb.upper()
            path = re.search(rb"<(.*?)>(.*)", args)
            if verb == b"EHLO":
                self.say(b"250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE 100000000\r\n250 ENHANCEDSTATUSCODES")
            elif verb == b"MAIL" and path:
                self.sender, self.options, self.to = path[1].decode(), path[2].decode().strip(), []
                self.say(b"250 2.1.0 ok")
            elif verb == b"RCPT" and path:
                refused = REFUSED.get(path[1].split(b"@")[0].decode())
                if not refused:
                    self.to.append(path[1].decode())
                self.say(refused or b"250 2.1.5 ok")
            elif verb == b"DATA":
                self.say(b"354 go on")
                self.keep()
            elif verb == b"QUIT":
                self.say(b"221 2.0.0 bye")
                return
            else:
                self.say(b"250 2.0.0 ok")

    def keep(self):
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        if not line:
            return
        with LOCK:
            name = os.path.join(DIR, str(next(NUMBER)))
            with open(name + ".json", "w") as f:
                json.dump({"from": self.sender, "to": self.to, "options": self.options}, f)
            with open(name + ".tmp", "wb") as f:
                f.writelines(lines)
            os.rename(name + ".tmp", name + ".eml")
        self.say(b"250 2.0.0 kept as " + os.path.basename(name).encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True


Server(("127.0.0.1", PORT), Session).serve_forever()
