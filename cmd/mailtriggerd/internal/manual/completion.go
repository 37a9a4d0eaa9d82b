package manual

import (
	"fmt"
	"strings"
)

// The completions take the names of connections and triggers from the tables of the
// config that the call names, as far as the person at the shell can read it; what
// the config includes is not looked at.

// namesScript prints the names of a section ($1) of a config ($2).
const namesScript = `sed -n 's/^ *\['"$1"'\.\("[^"]*"\|[A-Za-z0-9_-]*\)\].*/\1/p' "$2" 2>/dev/null | tr -d '"'`

// section returns the section of the config that has the values as names, "" if they
// are no names.
func (v Values) section() string {
	return map[Values]string{Connections: "connection", Triggers: "trigger"}[v]
}

// also are values besides the names of the config.
func (f Flag) also() string {
	if strings.Contains(f.Does, `"all"`) {
		return "all"
	}
	return ""
}

// short is what the flag does, in a few words.
func (f Flag) short() string {
	s, _, _ := strings.Cut(f.Does, ";")
	s, _, _ = strings.Cut(s, " (")
	return s
}

// Bash returns the completion for bash.
func Bash() string {
	var b strings.Builder
	b.WriteString(`# Completion of mailtriggerd for bash.
_mailtriggerd_names() { ` + namesScript + `; }

_mailtriggerd() {
	local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} config=` + DefaultConfig + ` i
	for ((i = 1; i < COMP_CWORD - 1; i++)); do
		[ "${COMP_WORDS[i]}" = --config ] && config=${COMP_WORDS[i+1]}
	done
	COMPREPLY=()
	case $previous in
`)
	var flags []string
	for _, f := range Flags {
		flags = append(flags, "--"+f.Name)
		if f.Arg == "" {
			continue
		}
		fmt.Fprintf(&b, "\t--%s) ", f.Name)
		switch words := f.words("config"); {
		case f.Values == Files:
			b.WriteString(`compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur")`)
		case words != "":
			b.WriteString(`mapfile -t COMPREPLY < <(compgen -W "` + words + `" -- "$cur")`)
		default:
			b.WriteString(":")
		}
		b.WriteString(" ;;\n")
	}
	b.WriteString("\t*) mapfile -t COMPREPLY < <(compgen -W '" + strings.Join(flags, " ") + "' -- \"$cur\") ;;\n\tesac\n}\ncomplete -F _mailtriggerd mailtriggerd\n")
	return b.String()
}

// words are what the flag's value can be, for a shell; the config's path is in a variable.
func (f Flag) words(config string) string {
	words := f.also()
	if section := f.Values.section(); section != "" {
		words = strings.TrimSpace(words + " $(_mailtriggerd_names " + section + ` "$` + config + `")`)
	}
	return words
}

// Zsh returns the completion for zsh.
func Zsh() string {
	var b strings.Builder
	b.WriteString(`#compdef mailtriggerd
# Completion of mailtriggerd for zsh.
_mailtriggerd_names() { ` + namesScript + `; }

_mailtriggerd_complete() {
	local config=${opt_args[--config]:-` + DefaultConfig + `}
	compadd -- "${@:2}" ${(f)"$([ -z "$1" ] || _mailtriggerd_names "$1" "$config")"}
}

_arguments \
`)
	var specs []string
	for _, f := range Flags {
		repeat := ""
		if strings.Contains(f.Does, "repeatable") {
			repeat = "*"
		}
		does := strings.NewReplacer(`[`, `\[`, `]`, `\]`, `'`, `'\''`).Replace(f.short())
		switch {
		case f.Arg == "":
			specs = append(specs, fmt.Sprintf("'--%s[%s]'", f.Name, does))
		case f.Values == Files:
			specs = append(specs, fmt.Sprintf("'--%s=[%s]:%s:_files'", f.Name, does, f.Arg))
		default:
			specs = append(specs, fmt.Sprintf(`'%s--%s=[%s]:%s:{_mailtriggerd_complete "%s" %s}'`, repeat, f.Name, does, f.Arg, f.Values.section(), f.also()))
		}
	}
	b.WriteString("\t" + strings.Join(specs, " \\\n\t") + "\n")
	return b.String()
}

// Fish returns the completion for fish.
func Fish() string {
	var b strings.Builder
	b.WriteString(`# Completion of mailtriggerd for fish.
function __mailtriggerd_names
    set -l config ` + DefaultConfig + `
    set -l words (commandline -opc)
    for i in (seq (count $words))
        if test $words[$i] = --config; and test $i -lt (count $words)
            set config $words[(math $i + 1)]
        end
    end
    sh -c '` + strings.ReplaceAll(namesScript, `'`, `'\''`) + `' sh $argv[1] $config
end

complete -c mailtriggerd -f
`)
	for _, f := range Flags {
		fmt.Fprintf(&b, "complete -c mailtriggerd -l %s -d '%s'", f.Name, strings.ReplaceAll(f.short(), `'`, `\'`))
		values := f.also()
		if section := f.Values.section(); section != "" {
			values = strings.TrimSpace(values + " (__mailtriggerd_names " + section + ")")
		}
		switch {
		case f.Values == Files:
			b.WriteString(" -r -F")
		case values != "":
			b.WriteString(" -x -a '" + values + "'")
		case f.Arg != "":
			b.WriteString(" -x")
		}
		b.WriteString("\n")
	}
	return b.String()
}
