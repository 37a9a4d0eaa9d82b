package config

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkLoad reads a configuration of 10,000 connections, each with a trigger.
func BenchmarkLoad(b *testing.B) {
	var text strings.Builder
	text.WriteString("[connection.base]\naddress = \"imap.example.com\"\nauthentication = {password_env = \"X\"}\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "[connection.c%[1]d]\nextends = \"base\"\nauthentication.username = \"u%[1]d\"\n[trigger.t%[1]d]\nconnection = \"c%[1]d\"\n[[trigger.t%[1]d.action]]\ntype = \"exec\"\ncommand = [\"/usr/bin/true\"]\n", i)
	}
	file := writeFile(b, b.TempDir(), text.String())
	for b.Loop() {
		if _, problems := Load(file, Options{}); problems != nil {
			b.Fatal(problems[0].Error())
		}
	}
}
