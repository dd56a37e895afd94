package redisstore

// The scripts of challenges have the same KEYS, and the same first ARGV:
//
//	KEYS[1]  the challenge: a string, see encode
//	KEYS[2]  the runs of failures of its bucket: a hash by subject, see runFields
//	ARGV[1]  the call's time and nonce, see stampFields
//
// All but scriptCreate return the record as it was before the call, see
// replyRecord.
//
// The runs of a bucket share one key: the name of a run's own key would depend on the
// record, and a script may only touch its KEYS. A charge that adds a run may remove
// runs that are forgotten: one charge in 8 looks at 24 runs picked at random, so at
// most half of the runs are dead.
//
// The scripts are most of what a call costs the server. In Lua a call of any
// function costs as much as ten lines, and a new string costs 11 instructions a
// byte, because Redis hashes all of it: the scripts make no string that they can do
// without.

// loadChallenge reads the record, c, and the fields that all scripts need. If there
// is no challenge, the script returns an empty string.
const loadChallenge = `
local c = redis.call('GET', KEYS[1])
if not c then return '' end
local now, nonce = struct.unpack('@stamp[time nonce]', ARGV[1])
local attempts, expires, max_attempts, max_failures, lock, subject, outcome = struct.unpack(
	'@record[attempts expires max_attempts max_failures lock subject outcome]', c, @record.attempts.from)
`

// loadRun reads the subject's run of failures. A run that is forgotten counts as none.
const loadRun = `
local run = redis.call('HGET', KEYS[2], subject)
local failures, ends, locked, kept = 0, 0, 0, 0
if run then
	failures, ends, locked, kept = struct.unpack('@run[failures ends locked kept]', run)
	if ends <= now then failures, ends, locked = 0, 0, 0 end
end
`

// replyRecord ends a script. If the call was refused, status says why; again says that
// the call had its effect before. If there is neither, and no lock, the reply is the
// record, which begins with 0 or a nonce: a byte of 0 or of 128 and more. Otherwise
// the reply begins with a head, a byte under headEnd: the status, headLocked,
// headAgain. With headLocked the end of the lock follows, 8 bytes. Then comes the
// record. For the Go side see unpack.
const replyRecord = `
local head = (status or 0) + (again and @head.again or 0)
if locked == 1 then return struct.pack('>BI8', head + @head.locked, ends) .. c end
return head > 0 and string.char(head) .. c or c
`

// scriptCreate stores a record, unless a challenge of its ID lives.
//
//	ARGV[2..4]  subject's field in the hash of runs, record, life in milliseconds
//	returns     a head without a record: done, exists, or locked with the lock's end
var scriptCreate = newScript(mayFill + `
local now, nonce = struct.unpack('@stamp[time nonce]', ARGV[1])
local c = redis.call('GET', KEYS[1])
if c then
	if c:sub(@record.finish_nonce.from, @record.finish_nonce.to) == nonce then return '\@status.done' end
	if struct.unpack('@record[expires]', c, @record.expires.from) > now then return '\@status.exists' end
end
local run = redis.call('HGET', KEYS[2], ARGV[2])
if run then
	local _, ends, locked = struct.unpack('@run[failures ends locked]', run)
	if locked == 1 and ends > now then return struct.pack('>BI8', @(status.locked + head.locked), ends) end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return '\@status.done'
`)

// scriptGet changes nothing.
//
//	returns  the record; expired
var scriptGet = newScript(reads + loadChallenge + loadRun + `
local status, again = expires <= now and @status.expired
` + replyRecord)

// scriptAttempt charges the challenge and the subject's run.
//
//	returns  the record; expired, closed, locked, exhausted
var scriptAttempt = newScript(mayFill + loadChallenge + loadRun + `
local again = (c:find(nonce, 1, true) or @record.attempts.from) <= @(record.attempts.from - nonce)
local status = not again and
	(expires <= now and @status.expired or outcome ~= 0 and @status.closed or locked == 1 and @status.locked or
	attempts >= max_attempts and @status.exhausted)
if again or status then ` + replyRecord + ` end
redis.call('SETRANGE', KEYS[1], '@record.attempt_nonces.at',
	struct.pack('>c@(nonce)c@(record.attempt_nonces.length - nonce)@record.attempts.format', nonce, c, attempts + 1))
local forget = now + lock
if forget <= now and ends == 0 then return c end
if failures < 4294967295 then failures = failures + 1 end
if ends < forget then ends = forget end
if max_failures > 0 and failures >= max_failures then locked, ends = 1, forget end
if ends <= now then
	redis.call('HDEL', KEYS[2], subject)
	return c
end
local soon = kept < ends + @slack.micros
if soon then kept = ends + @(slack.micros + slack.micros) end
redis.call('HSET', KEYS[2], subject, struct.pack('@run[failures ends locked kept]', failures, ends, locked, kept))
if soon then
	local life = math.ceil((kept - now) / 1000)
	if redis.call('PEXPIRE', KEYS[2], life, 'NX') == 0 then redis.call('PEXPIRE', KEYS[2], life, 'GT') end
end
if not run and nonce:byte(8) < 32 then
	local some, dead = redis.call('HRANDFIELD', KEYS[2], '24', 'WITHVALUES'), {}
	for i = 1, #some, 2 do
		if struct.unpack('@run[ends]', some[i + 1], @run.ends.from) + @slack.micros < now then
			dead[#dead + 1] = some[i]
		end
	end
	if #dead > 0 then redis.call('HDEL', KEYS[2], unpack(dead)) end
end
` + replyRecord)

// scriptFinish closes the challenge. A code that is accepted ends the run, so the
// script does not read the run then.
//
//	ARGV[2]  outcome, a byte
//	returns  the record; expired, closed
var scriptFinish = newScript(anyhow + loadChallenge + `
if ARGV[2] == '\@outcome.verified' and outcome == 0 and now < expires then
	redis.call('SETRANGE', KEYS[1], '@record.outcome.at', ARGV[2] .. nonce)
	redis.call('HDEL', KEYS[2], subject)
	return c
end
` + loadRun + `
local again = c:sub(@record.finish_nonce.from, @record.finish_nonce.to) == nonce
local status = not again and (expires <= now and @status.expired or outcome ~= 0 and @status.closed)
if not again and not status then redis.call('SETRANGE', KEYS[1], '@record.outcome.at', ARGV[2] .. nonce) end
` + replyRecord)

// scriptResend claims the next send.
//
//	returns  the record; expired, closed, locked, exhausted, tooSoon
var scriptResend = newScript(anyhow + loadChallenge + loadRun + `
local sends, next_send, latest, revision = struct.unpack(
	'@record[sends next_send resend_nonce revision]', c, @record.sends.from)
local waits = struct.unpack('@record[waits]', c, @record.waits.from)
local again = latest == nonce
local status = not again and
	(expires <= now and @status.expired or outcome ~= 0 and @status.closed or locked == 1 and @status.locked or
	sends > waits and @status.exhausted or now < next_send and @status.too_soon)
if not again and not status then
	sends, next_send = sends + 1, 0
	if sends <= waits then
		next_send = now + math.floor(math.max(struct.unpack('@record[wait]', c,
			@(record.wait.from - record.wait.length) + @record.wait.length * sends), 0) / 1000)
	end
	redis.call('SETRANGE', KEYS[1], '@record.sends.at',
		struct.pack('@record[sends next_send resend_nonce revision]', sends, next_send, nonce, revision + 1))
end
` + replyRecord)

// scriptUpdate replaces Delivery.
//
//	ARGV[2..3]  revision, delivery
//	returns     the record; expired, conflict
var scriptUpdate = newScript(anyhow + loadChallenge + loadRun + `
local revision, recent = struct.unpack('@record[revision update_nonces]', c, @record.revision.from)
local again = recent:find(nonce, 1, true)
local status = not again and (expires <= now and @status.expired or revision ~= tonumber(ARGV[2]) and @status.conflict)
if not again and not status then
	local delivery = struct.unpack('@record[delivery]', c, @record.delivery.from)
	redis.call('SET', KEYS[1], c:sub(1, @record.revision.at) .. struct.pack('@record[revision]', revision + 1) ..
		nonce .. recent:sub(1, @(record.update_nonces.length - nonce)) ..
		c:sub(@record.delivery.from, delivery) .. ARGV[3], 'KEEPTTL')
end
` + replyRecord)
