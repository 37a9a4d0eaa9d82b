// Package connection keeps sessions with IMAP servers.
package connection
