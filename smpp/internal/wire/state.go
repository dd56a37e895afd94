package wire

// States are the words of SMPP 3.4, Appendix B, indexed by message_state
// (section 5.2.28; 0 and 9 are of SMPP 5.0).
var States = [...]string{
	0: "SCHEDULED",
	1: "ENROUTE",
	2: "DELIVRD",
	3: "EXPIRED",
	4: "DELETED",
	5: "UNDELIV",
	6: "ACCEPTD",
	7: "UNKNOWN",
	8: "REJECTD",
	9: "SKIPPED",
}

// Values of message_state that the code names.
const (
	StateDelivered     = 2
	StateUndeliverable = 5
	StateAccepted      = 6
	StateRejected      = 8
)

// StateOf returns the message_state for a word of Appendix B.
func StateOf(word string) (state uint8, ok bool) {
	for n := range States {
		if States[n] == word {
			return uint8(n), true
		}
	}
	return 0, false
}
