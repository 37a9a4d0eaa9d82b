package manual

import (
	"fmt"
	"io"
)

// Help prints what --help does.
func Help(w io.Writer) {
	fmt.Fprintf(w, "mailtriggerd runs commands when mail arrives.\n\nusage: mailtriggerd [--config FILE] [call]\n\n")
	for _, f := range Flags {
		if f.With == "" {
			fmt.Fprintf(w, "  %-23s %s\n", f.Call(), f.Does)
		}
	}
	fmt.Fprintf(w, "\nexit codes: %s\n", shortCodes())
}
