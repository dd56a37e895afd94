package smpp

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// New validates the configuration and starts to connect in the background. An
// error names the field. The caller must call Close or Shutdown in the end.
func New(c Config) (*Client, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	return start(c), nil
}

// validate checks c and fills in its defaults. It copies slices and maps.
func (c *Config) validate() error {
	v := transport.Validate("smpp: Config.")
	return v.Steps(c.validateBinds, c.validateTLS, c.validateStrings, c.validateSenders, c.validateMessages,
		c.validateTimes, c.validateLimits)
}

const maxBinds = 100

// version50 is SMPP 5.0 as interface_version.
const version50 = 0x50

func (c *Config) validateBinds(v *transport.Validator) {
	c.Addrs = slices.Clone(c.Addrs)
	for i, addr := range c.addrs() {
		field := "Addr"
		if i > 0 {
			field = fmt.Sprintf("Addrs[%d]", i-1)
		}
		_, _, err := net.SplitHostPort(addr)
		v.Error(field, err)
	}
	c.StandbyAddrs = slices.Clone(c.StandbyAddrs)
	for i, addr := range c.StandbyAddrs {
		_, _, err := net.SplitHostPort(addr)
		v.Error(fmt.Sprintf("StandbyAddrs[%d]", i), err)
	}
	if c.ReceiverAddr != "" {
		_, _, err := net.SplitHostPort(c.ReceiverAddr)
		v.Error("ReceiverAddr", err)
		v.Check(c.Pair, "ReceiverAddr", "set without Pair")
	}
	hosts := max(1+len(c.Addrs), len(c.StandbyAddrs))
	if c.Binds == 0 {
		c.Binds = hosts
	}
	v.Check(hosts <= c.Binds && c.Binds <= maxBinds, "Binds",
		"%d is not within %d (a bind to each address) and %d", c.Binds, hosts, maxBinds)
	c.validateBind(v)
}

func (c *Config) validateBind(v *transport.Validator) {
	if c.Version == 0 {
		c.Version = wire.Version34
	}
	v.Check(c.Version == wire.Version34 || c.Version == version50, "Version",
		"0x%02X is neither 0x34 nor 0x50", c.Version)
	v.Check(c.Credentials == nil || c.SystemID == "" && c.Password == "", "Credentials",
		"set together with SystemID or Password")
	v.Check(!c.TransmitterOnly || !c.Pair, "TransmitterOnly", "set together with Pair")
	v.Check(!c.TransmitterOnly || c.Receipt == nil && c.Inbound == nil, "TransmitterOnly",
		"set together with Receipt or Inbound: nothing comes over a transmitter")
	c.prompt = c.Dial == nil && c.Trace == nil && c.MessageTLVs == nil
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.lookupHost == nil {
		c.lookupHost = net.DefaultResolver.LookupHost
	}
}

// validateTLS sets hostTLS.
func (c *Config) validateTLS(v *transport.Validator) {
	c.hostTLS = make(map[string]*tls.Config)
	if c.DangerouslyPlaintext {
		v.Check(c.TLS == nil, "DangerouslyPlaintext", "set together with TLS")
		return
	}
	for _, addr := range slices.Concat(c.addrs(), c.StandbyAddrs, []string{c.ReceiverAddr}) {
		host, _, _ := net.SplitHostPort(addr) // checked by validateBinds
		c.hostTLS[addr] = v.ClientTLS("TLS", c.TLS, host)
	}
}

func (c *Config) validateStrings(v *transport.Validator) {
	v.Error("SystemID", wire.CheckCString(c.SystemID, wire.MaxSystemID))
	v.Error("Password", wire.CheckCString(c.Password, wire.MaxPassword))
	v.Error("SystemType", wire.CheckCString(c.SystemType, wire.MaxSystemType))
	v.Error("AddressRange", wire.CheckCString(c.AddressRange, wire.MaxAddressRange))
	v.Error("ServiceType", wire.CheckCString(c.ServiceType, wire.MaxServiceType))
}

func (c *Config) validateSenders(v *transport.Validator) {
	c.Senders = maps.Clone(c.Senders)
	_, err := c.source(c.Sender)
	v.Error("Sender", err)
	for prefix, sender := range c.Senders {
		v.Check(isPrefix(prefix), "Senders", "%q is not the beginning of an international number", prefix)
		_, err := c.source(sender)
		v.Error(fmt.Sprintf("Senders[%q]", prefix), err)
	}
}

// isPrefix reports whether s is "+" and 1 to 15 digits.
func isPrefix(s string) bool {
	return len(s) > 1 && len(s) <= 16 && s[0] == '+' && strings.Trim(s[1:], "0123456789") == ""
}

func (c *Config) validateMessages(v *transport.Validator) {
	c.Codings, c.Classes = slices.Clone(c.Codings), maps.Clone(c.Classes)
	for i, coding := range c.Codings {
		v.Check(coding.Encoding <= sms.Latin1, fmt.Sprintf("Codings[%d]", i), "unknown encoding")
	}
	v.Check(c.DestFormat <= DestNational, "DestFormat", "unknown DestFormat")
	v.Check(c.DestFormat != DestNational || isPrefix(c.National.Country), "National",
		"%q is not a calling code", c.National.Country)
	v.Check(len(c.National.Trunk) <= 4 && strings.Trim(c.National.Trunk, "0123456789") == "", "National",
		"%q is not a trunk prefix", c.National.Trunk)
	v.Check(c.Validity <= ValidityNone, "Validity", "unknown Validity")
	v.Check(c.Long <= LongPayload, "Long", "unknown LongForm")
	v.Check(c.Priority <= 3, "Priority", "%d is not within 0..3", c.Priority)
	v.Check(c.SubmitIDs <= IDDecimal, "SubmitIDs", "unknown IDFormat")
	v.Check(c.ReceiptIDs <= IDDecimal, "ReceiptIDs", "unknown IDFormat")
	for status, class := range c.Classes {
		field := "Classes[" + status.Code() + "]"
		v.Check(status != StatusOK, field, "a success has no class")
		v.Check(class.Valid(), field, "there is no such class")
	}
	c.validateStates(v)
	if c.RetryStatus == StatusOK {
		c.RetryStatus = StatusReceiverTemporary
	}
	var err error
	c.tlvs, err = appendTLVs(nil, c.TLVs)
	v.Error("TLVs", err)
}

// validateStates converts the keys of ReceiptStates to the form for comparing
// them.
func (c *Config) validateStates(v *transport.Validator) {
	states := make(map[string]MessageState, len(c.ReceiptStates))
	for word, state := range c.ReceiptStates {
		field := fmt.Sprintf("ReceiptStates[%q]", word)
		v.Check(strings.TrimSpace(word) != "", field, "is empty")
		v.Check(state < messageOther, field, "there is no such state")
		states[stateKey(word)] = state
	}
	c.ReceiptStates = states
}

func (c *Config) validateTimes(v *transport.Validator) {
	v.Duration("ResponseTimeout", &c.ResponseTimeout, 10*time.Second)
	v.Duration("BindTimeout", &c.BindTimeout, 15*time.Second)
	v.Duration("BindWait", &c.BindWait, 5*time.Second)
	v.Duration("WriteTimeout", &c.WriteTimeout, 10*time.Second)
	v.Duration("EnquireLink", &c.EnquireLink, 14*time.Second)
	v.Duration("EnquireLinkTimeout", &c.EnquireLinkTimeout, 10*time.Second)
	v.Duration("ReconnectMin", &c.ReconnectMin, 500*time.Millisecond)
	v.Duration("ReconnectMax", &c.ReconnectMax, max(30*time.Second, c.ReconnectMin))
	v.Duration("RefusedWait", &c.RefusedWait, 15*time.Minute)
	v.Duration("MaxSession", &c.MaxSession, 24*time.Hour-5*time.Minute)
	v.Check(c.ReconnectMin <= c.ReconnectMax, "ReconnectMax", "%v is less than ReconnectMin", c.ReconnectMax)
}

func (c *Config) validateLimits(v *transport.Validator) {
	v.Int("Window", &c.Window, 1, 10, 10_000)
	v.Int("Receivers", &c.Receivers, 1, 16, 10_000)
	v.Int("MaxUnanswered", &c.MaxUnanswered, 1, 3, 1_000_000)
	v.Int("TPS", &c.TPS, 1, 0, 100_000)
	v.Logger(&c.Logger)
}
