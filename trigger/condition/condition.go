package condition

// A Condition is one [[trigger.NAME.condition]] table: a field with one operator, or
// a group of conditions.
type Condition struct {
	Field         string   `toml:"field"`
	Is            []string `toml:"is,scalar"`
	IsNot         []string `toml:"is_not,scalar"`
	Contains      []string `toml:"contains,scalar"`
	NotContains   []string `toml:"not_contains,scalar"`
	Matches       []string `toml:"matches,scalar"`
	NotMatches    []string `toml:"not_matches,scalar"`
	Glob          []string `toml:"glob,scalar"`
	Above         string   `toml:"above,text"`
	Below         string   `toml:"below,text"`
	CaseSensitive bool     `toml:"case_sensitive"`

	Any  []Condition `toml:"any"`
	All  []Condition `toml:"all"`
	None []Condition `toml:"none"`
}

// given is an operator of a condition with its values.
type given struct {
	operator string
	values   []string
}

// operators returns the operators that the condition has.
func (c *Condition) operators() (list []given) {
	one := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	for _, o := range []given{
		{"is", c.Is}, {"is_not", c.IsNot}, {"contains", c.Contains}, {"not_contains", c.NotContains},
		{"matches", c.Matches}, {"not_matches", c.NotMatches}, {"glob", c.Glob}, {"above", one(c.Above)}, {"below", one(c.Below)},
	} {
		if o.values != nil {
			list = append(list, o)
		}
	}
	return list
}

// members is one group of a condition.
type members struct {
	word string // any, all or none
	list []Condition
}

// groups returns the groups that the condition has.
func (c *Condition) groups() (list []members) {
	for _, g := range []members{{"any", c.Any}, {"all", c.All}, {"none", c.None}} {
		if g.list != nil {
			list = append(list, g)
		}
	}
	return list
}
