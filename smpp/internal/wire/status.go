package wire

// Statuses that refuse a bind (SMPP 3.4, section 5.1.3).
const (
	bindFailed        = 0x0D // ESME_RBINDFAIL
	invalidPassword   = 0x0E // ESME_RINVPASWD
	invalidSystemID   = 0x0F // ESME_RINVSYSID
	invalidSystemType = 0x53 // ESME_RINVSYSTYP
)

// RefusesBind reports whether the SMSC will refuse a bind with this status
// again until its credentials or its address change, or a long time has passed.
// The SMSC may count further tries as an attack.
func RefusesBind(status uint32) bool {
	switch status {
	case bindFailed, invalidPassword, invalidSystemID, invalidSystemType:
		return true
	}
	return false
}
