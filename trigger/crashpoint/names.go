package crashpoint

import "slices"

// names lists every point in the module. A test compares it with the calls.
var names = []string{
	"accept",
	"action-end",
	"action-start",
	"decode",
	"finish-begin",
	"journal.create.named",
	"journal.create.written",
	"journal.group.applied",
	"journal.group.begin",
	"journal.group.committed",
	"journal.group.reported",
	"journal.open.committed",
	"journal.open.replayed",
	"journal.open.swept",
	"journal.remove.unlinked",
	"journal.result.before",
	"journal.result.queued",
	"journal.result.written",
	"journal.results.truncated",
	"journal.spool.renamed",
	"journal.spool.synced",
	"journal.spool.written",
	"server-action-end",
	"server-action-start",
}

// Names returns the names of all points, sorted.
func Names() []string { return slices.Clone(names) }
