// Package action runs a trigger's actions: one file a type.
//
// An action is a Definition: the struct of its table in the configuration, made by New
// and, once SetDefaults and Validate have been called, ready to run. A Local runs in
// the daemon:
//
//	exec              exec.go, process.go      a command; started by child.go, spawn_linux.go
//	webhook           webhook.go, address.go, signature.go
//	save              save.go, place.go; file.go, temporary.go, directory.go, install.go, disk.go
//	save_attachments  attachments.go
//	append            append.go
//	mail              mail.go, outgoing.go, send.go
//	forward           forward.go
//	reply             reply.go
//
// and a Server acts on the message where it is: move, copy, flag, unflag and delete,
// in mailbox.go.
//
// Every Run is one attempt and ends as Done, Retry or Dead. Retry is the rule for
// what may mend itself or be mended by a person: a network, a disk, a missing
// program. Dead is for what will be the same at every attempt: exit code 65, most of
// HTTP's 4xx, a template that its event cannot fill.
//
// An attempt may be repeated though it succeeded, if the daemon died before that was
// recorded. It is then given the same event id and the same idempotency key, and each type
// does what it can with it: webhook sends it on, save and save_attachments find
// the file they made (see file in file.go), append finds its line, and what is sent
// by mail has the same Message-ID.
//
// What comes from a mail is a stranger's: it may fill an argument, a header, the
// query of a URL, a file's name or the levels below a fixed directory, a header field or the
// text of a mail, each escaped for where it stands, but it never chooses the program, the
// script, the host or the directory. Who gets a mail is the administrator's to say.
package action
