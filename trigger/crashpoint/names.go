package crashpoint

import "slices"

// names lists every point in the module. A test compares it with the calls.
var names = []string{
	"action.append.written",
	"action.file.linked",
	"action.file.named",
	"action.file.unsynced",
	"action.file.written",
	"engine.accept.ready",
	"engine.action.after",
	"engine.action.before",
	"engine.dead.sent",
	"engine.decode.marked",
	"engine.finish.begun",
	"engine.finish.ready",
	"engine.job.ended",
	"engine.poison.counted",
	"engine.resync.compared",
	"engine.retry.sent",
	"engine.server.after",
	"engine.server.before",
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
}

// Names returns the names of all points, sorted.
func Names() []string { return slices.Clone(names) }
