package connection

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a admission
		began := make(chan int, 3*maxAdmitted)
		release := make(chan struct{})
		for i := range 3 * maxAdmitted {
			go a.enter(func() {
				began <- i
				<-release
			})
		}
		synctest.Wait()
		if n := len(began); n != maxAdmitted {
			t.Fatalf("%d began at once; want %d", n, maxAdmitted)
		}
		release <- struct{}{}
		synctest.Wait()
		if n := len(began); n != maxAdmitted+1 {
			t.Errorf("%d have begun once one has ended; want one more", n)
		}
		time.Sleep(admissionLease) // nothing answers
		synctest.Wait()
		if n := len(began); n != 2*maxAdmitted+1 {
			t.Errorf("%d have begun after the lease; want as many again", n)
		}
		close(release)
		synctest.Wait()
		if n := len(began); n != 3*maxAdmitted {
			t.Errorf("%d have begun in the end; want all", n)
		}
		time.Sleep(2 * admissionLease)
		if a.busy != 0 || len(a.waiting) != 0 {
			t.Errorf("%d busy, %d waiting in the end", a.busy, len(a.waiting))
		}
	})
}
