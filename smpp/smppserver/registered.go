package smppserver

import (
	"github.com/otpcourier/otpcourier/smpp/internal/concat"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// WantsReceipt reports whether registered_delivery asks for a receipt with the
// state, a word of SMPP 3.4, Appendix B. An empty state means "DELIVRD":
//
//	1  every state
//	2  a failure: EXPIRED, DELETED, UNDELIV, UNKNOWN, REJECTD
//	3  a success: DELIVRD (SMPP 5.0; reserved in 3.4)
//
// Intermediate states, such as ENROUTE and ACCEPTD, are requested by 1 and by the
// bit of intermediate notifications, 0x10.
func (m *Submit) WantsReceipt(stat string) bool {
	success, failure := receiptsWanted(m.Registered)
	switch stat {
	case "", wire.States[wire.StateDelivered]:
		return success
	case "SCHEDULED", "ENROUTE", "ACCEPTD":
		return success && failure || m.Registered&wire.IntermediateWanted != 0
	}
	return failure
}

func receiptsWanted(registered uint8) (success, failure bool) {
	switch registered & wire.ReceiptMask {
	case wire.ReceiptWanted:
		return true, true
	case wire.ReceiptOnFailure:
		return false, true
	case wire.ReceiptOnSuccess:
		return true, false
	}
	return false, false
}

// joinRegistered returns the registered_delivery for all requests of the parts.
func joinRegistered(parts []concat.Part) uint8 {
	var success, failure bool
	var rest uint8
	for _, p := range parts {
		s, f := receiptsWanted(p.Registered)
		success, failure = success || s, failure || f
		rest |= p.Registered &^ wire.ReceiptMask
	}
	switch {
	case success && failure:
		return rest | wire.ReceiptWanted
	case failure:
		return rest | wire.ReceiptOnFailure
	case success:
		return rest | wire.ReceiptOnSuccess
	}
	return rest
}
