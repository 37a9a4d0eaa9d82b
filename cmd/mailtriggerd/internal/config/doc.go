// Package config reads the configuration file: strictly, and with all mistakes
// in one pass.
//
// It is the only importer of the toml package. The packages that own a table
// give its struct with toml tags, SetDefaults and Validate; this package knows
// no key of theirs but those that refer to other tables.
//
// A file goes through these steps, each in a file of its own:
//
//	document.go  the text, and the values that the toml package finds in it
//	position.go  the line of each key, which the toml package does not tell
//	files.go     the other files that it includes
//	later.go     what this version cannot do
//	extends.go   keys that one table has of another
//	fields.go    the keys that a struct knows
//	decode.go    values into structs
//	hint.go      "did you mean"
//	refer.go     names of other tables
//	secret.go    who can read the secrets, and whether they can be read
//
// No mistake's text quotes a value that may be a secret: a password under a
// misspelt key is one, and so is a line that is not TOML.
package config
