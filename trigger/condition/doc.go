// Package condition says which mail a trigger takes: conditions on fields, groups
// of them, and an expression.
//
//	condition.go   what is written: the tables of the config
//	check.go       what is wrong with it, in the words of the config
//	field.go       the fields, with their kinds of values
//	operator.go    the operators: how a value is compared
//	test.go, group.go, joint.go
//	               the conditions made ready: one, several, and several on one attachment
//	expression.go  what tables cannot say, in the language of expr-lang
//	environment.go what expressions see
//	matcher.go     all of it together: Judge
//	explain.go     the same with what was seen, for people
//
// Judging has three outcomes, as a message may be known by its header alone (a
// large one is not fetched for nothing): yes, no, or unknown without the body. A
// verdict on the header never contradicts the one on the whole message.
//
// # What a text is
//
// Texts are compared normalised (Unicode NFC, which makes one spelling of an
// accent and its letter) and, unless case matters, folded (see fold). Nothing
// else is made equal: not ß and ss, not wide and narrow forms, not letters that
// look alike, since who writes a rule would not expect it to hold for them.
// Blanks around a text do not count where all of it is compared (is, glob), as
// mailers add and drop them.
//
// # What is hostile
//
// The mail is, the config is not. Judging takes time in proportion to the mail's
// size, and maxTime at most: regular expressions (RE2; globs are made into them)
// look at the clock in the middle of long texts. What takes longer, or an
// expression that fails for a message, is an error, neither yes nor no: the engine
// makes a dead letter of the message, which tells a person. Taking it for no would
// lose mail in silence, and taking it for yes would act on what nobody asked for.
package condition
