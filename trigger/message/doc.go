// Package message turns the bytes of a mail into a Message, whatever is wrong
// with them.
package message
