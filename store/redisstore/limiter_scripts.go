package redisstore

// A window is the log of a limit's takings, one string, big-endian:
//
//	number of nonces, 1 byte; nonces of the latest calls, the latest first, at
//	most 8, 8 bytes each
//	how many takings there were before the cells, 6
//	cells, in the order of their times, 14 each: time, 8; how many takings
//	there were in all up to its end, 6
//
// A cell's takings count as if all were at its time, which is that of none of
// them before, so that none is forgotten early. As cells hold sums, the taking
// that decides, so many before the latest, is found by bisection, however many
// there are. Cells are kept for twice Per.

// windows begins the scripts. open returns the position of a log's sum before
// the cells, that sum, the time of the first cell, and the time and sum of the
// last; without cells the times are 0. sum(log, at, i) is that up to the end of
// cell i, counted from 1, and known is whether the call has changed the log. put
// has it seen by the limits that follow and have the same.
const windows = `
local now, nonce = struct.unpack('>I8c8', ARGV[1])
local keys = KEYS
local logs = redis.call('MGET', unpack(keys))
local function open(log)
	local at = 2 + 8 * log:byte(1)
	if #log < at + 19 then
		local before = struct.unpack('>I6', log, at)
		return at, before, 0, 0, before
	end
	local before, first = struct.unpack('>I6I8', log, at)
	local last, total = struct.unpack('>I8I6', log, #log - 13)
	return at, before, first, last, total
end
local function sum(log, at, i)
	return (struct.unpack('>I6', log, at + 14 * i))
end
local function time(log, at, i)
	return (struct.unpack('>I8', log, at + 14 * i - 8))
end
local function known(log)
	local found = log and log:find(nonce, 2, true)
	return found and found < 8 * log:byte(1) - 5
end
local function mark(log)
	local n = log:byte(1)
	if n < 8 then return string.char(n + 1) .. nonce .. log:sub(2) end
	return '\8' .. nonce .. log:sub(2, 57) .. log:sub(66)
end
local function put(i, log, ...)
	redis.call('SET', keys[i], log, ...)
	for k = i + 1, #keys do
		if keys[k] == keys[i] then logs[k] = log end
	end
end
`

// ARGV: of each limit Most, Per, and the step of its cells, 8 bytes each, and
// whether it is a shadow, 1; and the life of its log. The answer is how long each
// is to be waited for, 8 bytes each, or nothing if all have taken. As all take or
// none, a call that one window knows has taken.
var scriptTake = newScript(mayFill + windows + `
local function wait(log, most, per, also)
	if also >= most then return per end
	if not log then return 0 end
	local at, before, first, last, total = open(log)
	local j = total - (most - also) + 1
	if j <= before then return 0 end
	local low, high = 1, (#log - at - 5) / 14
	while low < high do
		local middle = math.floor((low + high) / 2)
		if sum(log, at, middle) >= j then high = middle else low = middle + 1 end
	end
	return math.max(time(log, at, low) - (now - per), 0)
end
local function add(log, per, step)
	if not log then return struct.pack('>Bc8I6I8I6', 1, nonce, 0, now + step, 1) end
	local at, before, first, last, total = open(log)
	local n, old = (#log - at - 5) / 14, 0
	while old < n and first <= now - 2 * per do
		old = old + 1
		first = old < n and time(log, at, old + 1)
	end
	if old > 0 then log = log:sub(1, at - 1) .. log:sub(at + 14 * old) end
	if not known(log) then log = mark(log) end
	if old < n and now <= last then return log:sub(1, -7) .. struct.pack('>I6', total + 1) end
	return log .. struct.pack('>I8I6', now + step, total + 1)
end
local again, refused, waiting, waits = false, false, false, {0, 0, 0, 0}
for i = 1, #keys do again = again or known(logs[i]) end
for i = 1, #keys do
	local most, per, step, shadow = struct.unpack('>I8I8I8B', ARGV[2 * i])
	local also = 0
	for k = 1, i - 1 do
		if keys[k] == keys[i] and waits[k] == 0 then also = also + 1 end
	end
	waits[i] = again and (shadow == 0 or known(logs[i])) and 0 or wait(logs[i], most, per, also)
	if waits[i] ~= 0 then
		waiting = true
		refused = refused or shadow == 0
	end
end
if not again and not refused then
	for i = 1, #keys do
		if waits[i] == 0 then
			local most, per, step = struct.unpack('>I8I8I8', ARGV[2 * i])
			put(i, add(logs[i], per, step), 'PX', ARGV[2 * i + 1])
		end
	end
end
if not waiting then return '' end
for i = 1, #keys do waits[i] = struct.pack('>I8', waits[i]) end
return table.concat(waits, '', 1, #keys)
`)

// ARGV: of each limit since when takings are looked at: of the first cell after
// that, one is given back.
var scriptGive = newScript(anyhow + windows + `
local function give(log, since)
	local at = open(log)
	local n = (#log - at - 5) / 14
	local i = n + 1
	while i > 1 and time(log, at, i - 1) > since do i = i - 1 end
	if i > n then return log end
	local cells = {log:sub(1, at + 14 * (i - 1) + 5)}
	for k = i, n do
		local left = sum(log, at, k) - 1
		if k > i or left > sum(log, at, i - 1) then
			cells[#cells + 1] = log:sub(at + 14 * k - 8, at + 14 * k - 1) .. struct.pack('>I6', left)
		end
	end
	return table.concat(cells)
end
for i = 1, #keys do
	if known(logs[i]) then return 0 end
end
for i = 1, #keys do
	local log = logs[i]
	if log then
		local given = give(log, tonumber(ARGV[1 + i]))
		if given ~= log then put(i, known(given) and given or mark(given), 'KEEPTTL') end
	end
end
return 0
`)
