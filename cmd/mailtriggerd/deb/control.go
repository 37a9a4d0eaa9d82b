package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
)

const maintainer = "The mailtriggerd maintainers <maintainers@mailtriggerd.invalid>"

// dependencies: the program itself is static. It needs certificates and time zones, and
// the install a program that makes the user.
const dependencies = "ca-certificates, tzdata, systemd | systemd-standalone-sysusers | systemd-sysusers"

const description = `runs commands when mail arrives
 A TOML file names IMAP accounts and says what to do with which mail. The daemon
 keeps an IMAP IDLE session with each mailbox, through proxies and TLS of any
 kind, reads each new message in the right code page, and runs the actions of
 the triggers that match: a program, a webhook, a file, a move on the server.
 .
 What is to be done is in a journal on disk before mail is passed over, so no
 message is lost when the program or the machine dies.
`

// control returns the files that tell dpkg what to do with the contents.
func (b *build) control(contents []entry) ([]entry, error) {
	var c collector
	size := 0
	var sums bytes.Buffer
	for _, e := range contents {
		size += (len(e.data) + 1023) / 1024
		if e.name != "etc/mailtriggerd/config.toml" { // dpkg keeps its sum as that of a conffile
			fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(e.data), e.name)
		}
	}
	c.add("control", 0o644, []byte(fmt.Sprintf("Package: mailtriggerd\nVersion: %s\nArchitecture: %s\nMaintainer: %s\nInstalled-Size: %d\nDepends: %s\nSection: mail\nPriority: optional\nDescription: %s",
		b.debVersion(), b.arch, maintainer, size, dependencies, description)))
	c.add("conffiles", 0o644, []byte("/etc/mailtriggerd/config.toml\n"))
	c.add("md5sums", 0o644, sums.Bytes())
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		c.add(script, 0o755, c.embedded(script))
	}
	return c.entries, c.err
}
