package otp

// Subject returns the two names of a subject in an application's events and records. The
// tag is a keyed hash: [Event.Subject], and the Subject of a store.Record. An operator
// finds a person's events by it, and package otp/authenticator uses it as its own name of
// the subject. The bucket begins the IDs of the subject's records in a store. Application
// is Config.Application; tenant is empty for the Service's own brand. k must be a keyring
// that [New] accepts.
func (k Keyring) Subject(application, tenant, subject string) (tag, bucket string, err error) {
	keys, err := k.application(application)
	if err != nil {
		return "", "", err
	}
	t := keys.subject(tenant, subjectForm(subject))
	i := id(t)
	of := bucketOf(t)
	copy(i[:], of[:])
	return t.String(), i.store()[:bucketLen], nil
}
