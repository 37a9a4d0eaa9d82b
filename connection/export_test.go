package connection

// Open returns how many connections the budget counts, of all accounts.
func (d *Dialer) Open() (n int) {
	d.budget.mu.Lock()
	defer d.budget.mu.Unlock()
	for _, a := range d.budget.accounts {
		n += a.open
	}
	return n
}
