package smpp

import (
	"fmt"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A Status is a command_status (SMPP 3.4, section 5.1.3). As an error it is the
// cause of a [channel.Error] with the same Code.
type Status uint32 //nolint:errname // as syscall.Errno: first a value of the protocol, and an error only if it refuses

// The statuses of SMPP 3.4. The comment is the standard's name.
//
//nolint:errname // see Status
const (
	StatusOK                 Status = 0x00 // ESME_ROK
	StatusInvalidMsgLength   Status = 0x01 // ESME_RINVMSGLEN
	StatusInvalidCmdLength   Status = 0x02 // ESME_RINVCMDLEN
	StatusInvalidCmdID       Status = 0x03 // ESME_RINVCMDID
	StatusInvalidBindStatus  Status = 0x04 // ESME_RINVBNDSTS
	StatusAlreadyBound       Status = 0x05 // ESME_RALYBND
	StatusInvalidPriority    Status = 0x06 // ESME_RINVPRTFLG
	StatusInvalidRegistered  Status = 0x07 // ESME_RINVREGDLVFLG
	StatusSystemError        Status = 0x08 // ESME_RSYSERR
	StatusInvalidSource      Status = 0x0A // ESME_RINVSRCADR
	StatusInvalidDestination Status = 0x0B // ESME_RINVDSTADR
	StatusInvalidMessageID   Status = 0x0C // ESME_RINVMSGID
	StatusBindFailed         Status = 0x0D // ESME_RBINDFAIL
	StatusInvalidPassword    Status = 0x0E // ESME_RINVPASWD
	StatusInvalidSystemID    Status = 0x0F // ESME_RINVSYSID
	StatusCancelFailed       Status = 0x11 // ESME_RCANCELFAIL
	StatusReplaceFailed      Status = 0x13 // ESME_RREPLACEFAIL
	StatusQueueFull          Status = 0x14 // ESME_RMSGQFUL
	StatusInvalidServiceType Status = 0x15 // ESME_RINVSERTYP
	StatusInvalidDestCount   Status = 0x33 // ESME_RINVNUMDESTS
	StatusInvalidListName    Status = 0x34 // ESME_RINVDLNAME
	StatusInvalidDestFlag    Status = 0x40 // ESME_RINVDESTFLAG
	StatusInvalidReplace     Status = 0x42 // ESME_RINVSUBREP
	StatusInvalidEsmClass    Status = 0x43 // ESME_RINVESMCLASS
	StatusCannotSubmitToList Status = 0x44 // ESME_RCNTSUBDL
	StatusSubmitFailed       Status = 0x45 // ESME_RSUBMITFAIL
	StatusInvalidSourceTON   Status = 0x48 // ESME_RINVSRCTON
	StatusInvalidSourceNPI   Status = 0x49 // ESME_RINVSRCNPI
	StatusInvalidDestTON     Status = 0x50 // ESME_RINVDSTTON
	StatusInvalidDestNPI     Status = 0x51 // ESME_RINVDSTNPI
	StatusInvalidSystemType  Status = 0x53 // ESME_RINVSYSTYP
	StatusInvalidReplaceFlag Status = 0x54 // ESME_RINVREPFLAG
	StatusInvalidMsgCount    Status = 0x55 // ESME_RINVNUMMSGS
	StatusThrottled          Status = 0x58 // ESME_RTHROTTLED
	StatusInvalidSchedule    Status = 0x61 // ESME_RINVSCHED
	StatusInvalidExpiry      Status = 0x62 // ESME_RINVEXPIRY
	StatusInvalidDefaultMsg  Status = 0x63 // ESME_RINVDFTMSGID
	StatusReceiverTemporary  Status = 0x64 // ESME_RX_T_APPN
	StatusReceiverPermanent  Status = 0x65 // ESME_RX_P_APPN
	StatusReceiverReject     Status = 0x66 // ESME_RX_R_APPN
	StatusQueryFailed        Status = 0x67 // ESME_RQUERYFAIL
	StatusInvalidTLVStream   Status = 0xC0 // ESME_RINVOPTPARSTREAM
	StatusTLVNotAllowed      Status = 0xC1 // ESME_ROPTPARNOTALLWD
	StatusInvalidTLVLength   Status = 0xC2 // ESME_RINVPARLEN
	StatusMissingTLV         Status = 0xC3 // ESME_RMISSINGOPTPARAM
	StatusInvalidTLVValue    Status = 0xC4 // ESME_RINVOPTPARAMVAL
	StatusDeliveryFailure    Status = 0xFE // ESME_RDELIVERYFAILURE
	StatusUnknownError       Status = 0xFF // ESME_RUNKNOWNERR
)

// statuses holds the meaning of each status that refuses a message.
//
// Ambiguous statuses are Unknown, because the message may be on its way. They
// are the receiver's application errors, the last two, and any status outside
// the standard. ESME_RSUBMITFAIL is Unreachable as in OTP Blue's integration
// guide ("no iMessage: fail over at once"), the only guide that defines it.
var statuses = map[Status]struct {
	name  string
	class channel.Class
}{
	StatusOK:                 {"ESME_ROK", channel.Unknown},
	StatusInvalidMsgLength:   {"ESME_RINVMSGLEN", channel.Misconfigured},
	StatusInvalidCmdLength:   {"ESME_RINVCMDLEN", channel.Misconfigured},
	StatusInvalidCmdID:       {"ESME_RINVCMDID", channel.Misconfigured},
	StatusInvalidBindStatus:  {"ESME_RINVBNDSTS", channel.Temporary},
	StatusAlreadyBound:       {"ESME_RALYBND", channel.Temporary},
	StatusInvalidPriority:    {"ESME_RINVPRTFLG", channel.Misconfigured},
	StatusInvalidRegistered:  {"ESME_RINVREGDLVFLG", channel.Misconfigured},
	StatusSystemError:        {"ESME_RSYSERR", channel.Temporary},
	StatusInvalidSource:      {"ESME_RINVSRCADR", channel.Misconfigured},
	StatusInvalidDestination: {"ESME_RINVDSTADR", channel.InvalidRecipient},
	StatusInvalidMessageID:   {"ESME_RINVMSGID", channel.Misconfigured},
	StatusBindFailed:         {"ESME_RBINDFAIL", channel.Misconfigured},
	StatusInvalidPassword:    {"ESME_RINVPASWD", channel.Misconfigured},
	StatusInvalidSystemID:    {"ESME_RINVSYSID", channel.Misconfigured},
	StatusCancelFailed:       {"ESME_RCANCELFAIL", channel.Unknown},
	StatusReplaceFailed:      {"ESME_RREPLACEFAIL", channel.Unknown},
	StatusQueueFull:          {"ESME_RMSGQFUL", channel.Throttled},
	StatusInvalidServiceType: {"ESME_RINVSERTYP", channel.Misconfigured},
	StatusInvalidDestCount:   {"ESME_RINVNUMDESTS", channel.Misconfigured},
	StatusInvalidListName:    {"ESME_RINVDLNAME", channel.Misconfigured},
	StatusInvalidDestFlag:    {"ESME_RINVDESTFLAG", channel.Misconfigured},
	StatusInvalidReplace:     {"ESME_RINVSUBREP", channel.Misconfigured},
	StatusInvalidEsmClass:    {"ESME_RINVESMCLASS", channel.Misconfigured},
	StatusCannotSubmitToList: {"ESME_RCNTSUBDL", channel.Misconfigured},
	StatusSubmitFailed:       {"ESME_RSUBMITFAIL", channel.Unreachable},
	StatusInvalidSourceTON:   {"ESME_RINVSRCTON", channel.Misconfigured},
	StatusInvalidSourceNPI:   {"ESME_RINVSRCNPI", channel.Misconfigured},
	StatusInvalidDestTON:     {"ESME_RINVDSTTON", channel.Misconfigured},
	StatusInvalidDestNPI:     {"ESME_RINVDSTNPI", channel.Misconfigured},
	StatusInvalidSystemType:  {"ESME_RINVSYSTYP", channel.Misconfigured},
	StatusInvalidReplaceFlag: {"ESME_RINVREPFLAG", channel.Misconfigured},
	StatusInvalidMsgCount:    {"ESME_RINVNUMMSGS", channel.Misconfigured},
	StatusThrottled:          {"ESME_RTHROTTLED", channel.Throttled},
	StatusInvalidSchedule:    {"ESME_RINVSCHED", channel.Misconfigured},
	StatusInvalidExpiry:      {"ESME_RINVEXPIRY", channel.Misconfigured},
	StatusInvalidDefaultMsg:  {"ESME_RINVDFTMSGID", channel.Misconfigured},
	StatusReceiverTemporary:  {"ESME_RX_T_APPN", channel.Temporary},
	StatusReceiverPermanent:  {"ESME_RX_P_APPN", channel.Unknown},
	StatusReceiverReject:     {"ESME_RX_R_APPN", channel.Unknown},
	StatusQueryFailed:        {"ESME_RQUERYFAIL", channel.Unknown},
	StatusInvalidTLVStream:   {"ESME_RINVOPTPARSTREAM", channel.Misconfigured},
	StatusTLVNotAllowed:      {"ESME_ROPTPARNOTALLWD", channel.Misconfigured},
	StatusInvalidTLVLength:   {"ESME_RINVPARLEN", channel.Misconfigured},
	StatusMissingTLV:         {"ESME_RMISSINGOPTPARAM", channel.Misconfigured},
	StatusInvalidTLVValue:    {"ESME_RINVOPTPARAMVAL", channel.Misconfigured},
	StatusDeliveryFailure:    {"ESME_RDELIVERYFAILURE", channel.Unknown},
	StatusUnknownError:       {"ESME_RUNKNOWNERR", channel.Unknown},
}

// Class returns the class for a message refused with the status. For a status
// outside SMPP 3.4 it is [channel.Unknown]. Config.Classes replaces it for one
// SMSC.
func (s Status) Class() channel.Class { return statuses[s].class }

// Code returns the status in hexadecimal, "0x45".
func (s Status) Code() string { return fmt.Sprintf("0x%02X", uint32(s)) }

// String returns the standard's name, for example "ESME_RSUBMITFAIL", or the
// Code if the status has no name.
func (s Status) String() string {
	if known, ok := statuses[s]; ok {
		return known.name
	}
	return s.Code()
}

// Error returns the name.
func (s Status) Error() string { return s.String() }

// refusesBind reports whether a bind refused with the status must not be
// repeated soon.
func (s Status) refusesBind() bool { return wire.RefusesBind(uint32(s)) }
