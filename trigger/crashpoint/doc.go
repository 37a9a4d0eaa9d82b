// Package crashpoint lets a test end the process at a named place.
//
// Code calls [Hit] on both sides of each durable step. In a normal build that is
// an empty function, which the compiler removes. Built with the tag
// "crashpoints", Hit reads the environment variable MAILTRIGGERD_CRASHPOINT:
//
//	NAME:N     the N-th hit of the point NAME ends the process (":N" may be left out: the first)
//	#K         the K-th hit of any point ends the process
//	log:FILE   nothing ends; each hit appends a line "K NAME" to FILE
//
// The end is SIGKILL to itself: no deferred function runs, nothing is flushed. A
// test first runs a scenario with log:FILE to number the hits, then runs it once
// for each number and looks at what the next start finds.
package crashpoint
