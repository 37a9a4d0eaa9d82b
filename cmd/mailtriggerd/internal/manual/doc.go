// Package manual has what the program says of itself in more than one place: its
// flags, exit codes and signals, for --help, the README, the manual pages and the
// completion of shells.
package manual
