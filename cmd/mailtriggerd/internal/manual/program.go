package manual

import (
	"strconv"
	"time"
)

// Program returns the manual page mailtriggerd(8).
func Program(version string, date time.Time) string {
	p := newPage("mailtriggerd", "8", version, date, "mailtriggerd - runs commands when mail arrives")
	p.section("SYNOPSIS")
	p.raw(bold("mailtriggerd") + ` [` + bold("--config") + ` \fIFILE\fR] [\fIcall\fR]`)
	p.section("DESCRIPTION")
	p.text("A TOML file names IMAP accounts (connections) and says what to do with which mail (triggers).")
	p.text("The daemon keeps an IMAP IDLE session with each mailbox, reads each new message, and runs the actions of the triggers that match it.")
	p.text("What is to be done is in a journal on disk before mail is passed over: no message is lost when the program or the machine dies.")
	p.paragraph("Without a call it runs the daemon, in the foreground, with its log on standard error.")
	p.text("Make calls by hand as the service's user:")
	p.example([]string{"sudo -u mailtriggerd mailtriggerd --status"})

	p.section("OPTIONS")
	p.text("Every argument is a flag. Of the calls one can be made at a time.")
	for _, f := range Flags {
		term := bold("--" + f.Name)
		if f.Arg != "" {
			term += ` \fI` + escape(f.Arg) + `\fR`
		}
		p.entry(term, sentence(f.Does))
		if f.With != "" {
			p.text("Goes with --" + f.With + ".")
		}
	}

	p.section("EXIT STATUS")
	for _, c := range ExitCodes {
		p.entry(bold(strconv.Itoa(c.Code)), sentence(c.Meaning))
	}
	p.paragraph("A crash is none of these.")

	p.section("SIGNALS")
	for _, s := range signals {
		p.entry(bold(s.name), s.does)
	}

	p.section("ENVIRONMENT")
	for _, v := range environment {
		p.entry(bold(v.name), v.does)
	}
	p.paragraph("What the commands of actions get is in README.md.")

	p.section("FILES")
	for _, f := range files {
		p.entry(`\fI`+escape(f.name)+`\fR`, f.does)
	}

	p.section("SEE ALSO")
	p.raw(`.BR mailtriggerd.toml (5),
.BR systemd.exec (5),
.BR journalctl (1)`)
	return p.String()
}

// named is a thing and what it does.
type named struct{ name, does string }

var signals = []named{
	{"SIGTERM, SIGINT", "End in order: nothing new is started, and running actions have 60 seconds to end. What had to be ended is tried again at the next start."},
	{"SIGHUP", "Read the config again. A bad one is said in the log, and leaves the old one running."},
}

var environment = []named{
	{"STATE_DIRECTORY", "Where the journal is kept, unless state_dir says it. Set by systemd."},
	{"XDG_STATE_HOME", "Where it is kept if neither does, in mailtriggerd; default ~/.local/state."},
	{"RUNTIME_DIRECTORY", "Where the control socket is, unless control says it. Set by systemd."},
	{"CREDENTIALS_DIRECTORY", "Where the credentials of password_credential and its like are. Set by systemd."},
	{"NOTIFY_SOCKET, WATCHDOG_USEC", "Where systemd is told that the daemon is ready, and alive. Set by systemd."},
	{"ALL_PROXY, HTTPS_PROXY, NO_PROXY", `Proxies of connections with type = "environment".`},
}

var files = []named{
	{DefaultConfig, "The config: mailtriggerd.toml(5). Mode 0640, root:mailtriggerd."},
	{"/var/lib/mailtriggerd", "The journal, mail that is being worked on, and OAuth 2.0 tokens. Mode 0700."},
	{"/run/mailtriggerd/control.sock", "The socket of --status, --dead-letters, --retry and --discard."},
	{"/usr/share/doc/mailtriggerd/README.md", "All of it at length."},
	{"/usr/share/doc/mailtriggerd/TROUBLESHOOTING.md", "What to look at, by symptom."},
	{"/usr/share/doc/mailtriggerd/examples", "The config with every key, what actions need beyond the unit's rights, alert rules, a dashboard."},
}
