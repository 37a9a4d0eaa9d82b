package main

import (
	"slices"

	"mailtrigger/connection/connectiontest"
)

// optionsPlain is a server without TLS: most of the time of a start is not its business here.
var optionsPlain = connectiontest.Options{Mode: "none"}

// scenarios returns all scenarios.
func scenarios() []*scenario {
	return slices.Concat(deliveryScenarios(), serverScenarios())
}

// webhookTo is an action that tells the test of a message.
const webhookTo = `type = "webhook"
url_env = "CRASH_URL"
timeout = "20s"
`

// retryFast is for triggers whose actions fail.
const retryFast = `retry = {first = "20ms", max = "60ms"}
`

func deliveryScenarios() []*scenario {
	oneHook := "[trigger.one]\nconnection = \"test\"\n" + retryFast + "[[trigger.one.action]]\nname = \"hook\"\n" + webhookTo
	twoHooks := oneHook + "[trigger.two]\nconnection = \"test\"\n" + retryFast + "[[trigger.two.action]]\nname = \"a\"\n" + webhookTo + "[[trigger.two.action]]\nname = \"b\"\n" + webhookTo
	plain := optionsPlain
	return []*scenario{
		{
			name: "burst", triggers: oneHook, options: plain,
			expect: func(r *trial, m *mail) { r.want(m, "one", "hook") },
			wave:   func(r *trial) { r.burst("INBOX", "mail", 8) },
		},
		{
			name: "two-triggers", triggers: twoHooks, options: plain,
			expect: func(r *trial, m *mail) { r.want(m, "one", "hook"); r.want(m, "two", "a", "b") },
		},
		{
			name: "one-failing", triggers: twoHooks, options: plain,
			expect: func(r *trial, m *mail) { r.want(m, "one", "hook"); r.want(m, "two", "a", "b") },
			answer: func(r *trial, h *hook) int {
				if h.trigger == "two" && h.before < 2 {
					return 503
				}
				return 200
			},
		},
	}
}

func serverScenarios() []*scenario {
	move := "[trigger.mover]\nconnection = \"test\"\n" + retryFast + "[[trigger.mover.action]]\nname = \"hook\"\n" + webhookTo +
		"[[trigger.mover.action]]\ntype = \"move\"\nmailbox = \"Archive\"\n"
	return []*scenario{
		{
			name: "move", triggers: move, options: optionsPlain, copies: []string{"Archive"},
			expect: func(r *trial, m *mail) { r.want(m, "mover", "hook") },
			places: func(r *trial, m *mail) []placing { return []placing{{"INBOX", 0, 0}, {"Archive", 1, 1 << 20}} },
		},
	}
}
