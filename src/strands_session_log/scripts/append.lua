-- Appends a batch of events to one session: all of it, or nothing.
--
-- KEYS: events, head, feed, sessions, position (one slot)
-- ARGV: 1 base revision, 2 base link, 3 base id, 4 session id,
--       5 expectation (any | absent | revision | agent), 6 its subject, 7 its revision, 8 its next message index,
--       then for each event: type agent event time v trace salt link body facts index moves
--
-- Returns {'landed', link, id...}, {'conflict', what, agent, actual} or {'moved', id, link}.
-- Links are computed by the client for exactly one base, so a batch can only ever stand right after that base: one
-- look there tells whether an earlier attempt of the same call has landed.
--
-- Every message of every agent waits for this, so the way of one that simply follows has as few commands as it can, and
-- functions for what comes twice only: both cost more than what they do.
local call, arguments = redis.call, ARGV
local events, head, feed, sessions, position = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local base_revision, session = tonumber(arguments[1]), arguments[4]
local FIRST, WIDTH, AGENT, EVENT, LINK, INDEX, MOVES = 9, 12, 1, 2, 7, 10, 11
local LAST = #arguments - WIDTH + 1
local count = (#arguments - FIRST + 1) / WIDTH

local function moved_field(agent)
    return 'agent:' .. agent .. ':moved'
end

local function messages_field(agent)
    return 'agent:' .. agent .. ':messages'
end

-- Message indices are kept as ascending ranges: "0-41", or "0-3,7-9" where a writer left a gap.
local NO_RANGES = 'BADHEAD what should be ranges of message indices is none'
local function next_index(ranges)
    local last = string.match(ranges, '%-(%-?%d+)$')
    if not last and ranges ~= '' then error(redis.error_reply(NO_RANGES)) end
    return last and last + 1 or 0
end

-- The ranges with one more index in them; nothing if it is in use.
local function insert(ranges, index)
    local highest = string.match(ranges, '%-(%-?%d+)$')
    if not highest and ranges ~= '' then error(redis.error_reply(NO_RANGES)) end
    if highest and highest + 1 == index then return string.sub(ranges, 1, -#highest - 1) .. index end
    local before, after, first, last = {}, {}, index, index
    for from, to in string.gmatch(ranges, '(%-?%d+)-(%-?%d+)') do
        from, to = tonumber(from), tonumber(to)
        if from <= index and index <= to then return nil end
        if to + 1 == index then first = from
        elseif from - 1 == index then last = to
        elseif to < index then before[#before + 1] = from .. '-' .. to
        else after[#after + 1] = from .. '-' .. to end
    end
    before[#before + 1] = first .. '-' .. last
    for _, range in ipairs(after) do before[#before + 1] = range end
    return table.concat(before, ',')
end

-- Where the session stands ---------------------------------------------------------------------------------------
-- Most batches are about one agent, so what is known of the first one's comes along.
local first_agent = arguments[FIRST + AGENT]
local known = call('HMGET', head, 'revision', 'link', 'ms', messages_field(first_agent), moved_field(first_agent))
-- Lua writes whole numbers below 10^14 out in full; milliseconds get there in the year 5138.
local revision, last_ms = tonumber(known[1] or 0), tonumber(known[3] or 0)
-- A link is 43 characters: 32 bytes in base64url.
if not revision or revision < 0 or revision >= 1e14 or revision % 1 ~= 0
    or not last_ms or last_ms < 0 or last_ms >= 1e14 or last_ms % 1 ~= 0
    or revision > 0 and not (known[2] and #known[2] == 43) then
    return redis.error_reply('BADHEAD of session ' .. session .. ' nothing can follow its revision, link and ms')
end

if revision == 0 and call('EXISTS', events) == 1 then
    return redis.error_reply('HALFLOST of session ' .. session ..
        ' the head is gone but its events are not; restore it or delete the session')
end

-- Has an earlier attempt of this very call landed? ---------------------------------------------------------------
if revision > base_revision then
    local landed = call('XRANGE', events, '(' .. arguments[3], '+', 'COUNT', count)
    if #landed == count and landed[1][2][2 * EVENT + 2] == arguments[FIRST + EVENT] then
        local answer = { 'landed', landed[count][2][2 * LINK + 2] }
        for number = 1, count do answer[number + 2] = landed[number][1] end
        return answer
    end
end

-- Is what the writer expects still so? ---------------------------------------------------------------------------
local changes = {}
local function ranges_for(agent, field)
    return changes[field] or agent == first_agent and known[4] or call('HGET', head, field) or ''
end

local expectation = arguments[5]
if expectation == 'agent' then
    local subject, wanted, wanted_next = arguments[6], arguments[7], tonumber(arguments[8])
    if wanted ~= '' then
        -- An id tells histories apart that share a revision; a bare revision is for those who know no more.
        local at = subject == first_agent and known[5] or call('HGET', head, moved_field(subject)) or '0-0'
        if at ~= wanted and string.match(at, '-(%d+)$') ~= wanted then return { 'conflict', 'agent', subject, at } end
    end
    if wanted_next then
        local actual = next_index(ranges_for(subject, messages_field(subject)))
        if actual ~= wanted_next then return { 'conflict', 'next_message', subject, tostring(actual) } end
    end
elseif expectation == 'absent' and revision > 0
    or expectation == 'revision' and revision ~= tonumber(arguments[7]) then
    return { 'conflict', 'revision', '', tostring(revision) }
end

for at = FIRST, LAST, WIDTH do
    local index = tonumber(arguments[at + INDEX])
    if index then
        local agent = arguments[at + AGENT]
        local field = messages_field(agent)
        changes[field] = insert(ranges_for(agent, field), index)
        if not changes[field] then return { 'conflict', 'message', agent, tostring(index) } end
    end
end
if revision ~= base_revision or (revision > 0 and known[2] ~= arguments[2]) then
    return { 'moved', last_ms .. '-' .. revision, known[2] or '' }
end

-- The clock, and how long the feed is: the last reads ------------------------------------------------------------
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ms = now > last_ms and now or last_ms
local feed_ms, feed_length = now, call('XLEN', feed)

-- Where the feed goes on: before the first event is written, since what somebody has put there may be no feed ------
-- Its sequence is counted in a key of its own. That may be lost, or restored from a backup without the feed or the
-- other way round; then, and when the clock went back, the feed is asked. Not its newest entry, which may have been
-- deleted: a stream refuses ids up to the last it ever had. A feed that is gone goes on where it was.
local sequence
local function ask_feed()
    local info = call('EXISTS', feed) == 1 and call('XINFO', 'STREAM', feed) or {}
    for at = 1, #info, 2 do
        -- A feed made anew, empty, goes on where the one before ended.
        if info[at] == 'last-generated-id' and info[at + 1] ~= '0-0' then
            local last_feed_ms, last = string.match(info[at + 1], '^(%d+)-(%d+)$')
            if #last_feed_ms > 14 or #last > 14 then
                error(redis.error_reply('BADFEED ' .. feed .. ' ends with ' .. info[at + 1] .. ': nothing can follow'))
            end
            feed_ms, sequence = math.max(now, tonumber(last_feed_ms)), tonumber(last)
        end
    end
    call('SET', position, sequence + count)
end

local counted = redis.pcall('INCRBY', position, count)
sequence = type(counted) == 'number' and counted >= count and counted < 1e14 and counted - count or 0
-- As long as nobody trims the feed, its length tells that the count is right; after that its newest entry.
if sequence == 0 or sequence ~= feed_length then
    local newest = call('XREVRANGE', feed, '+', '-', 'COUNT', 1)[1]
    if not newest or string.match(newest[1], '%d+$') ~= tostring(sequence) then ask_feed() end
end
-- From here on nothing can fail but the first write, where the server may refuse for want of memory, and the first
-- event, whose stream may be gone: then the directory has a newer time, and nothing else is written ---------------
call('ZADD', sessions, ms, session)
-- An empty stream for a new session: an event never makes one, so that events which are gone are noticed.
if base_revision == 0 then call('XADD', events, 'MAXLEN', 0, '0-1', '', '') end
local answer = { 'landed', arguments[LAST + LINK] }
for at = FIRST, LAST, WIDTH do
    revision = revision + 1
    local id = ms .. '-' .. revision
    local added = call('XADD', events, 'NOMKSTREAM', id,
        'type', arguments[at], 'agent', arguments[at + 1], 'event', arguments[at + 2], 'time', arguments[at + 3],
        'v', arguments[at + 4], 'trace', arguments[at + 5], 'salt', arguments[at + 6], 'link', arguments[at + 7],
        'body', arguments[at + 8])
    if not added then
        return redis.error_reply('HALFLOST of session ' .. session ..
            ' the events are gone but its head is not; restore it or delete the session')
    end
    answer[#answer + 1] = id
    if arguments[at + MOVES] == '1' then changes[moved_field(arguments[at + AGENT])] = id end
end

-- The feed -------------------------------------------------------------------------------------------------------
local at, refused = FIRST, false
while at <= LAST do
    local number = (at - FIRST) / WIDTH + 1
    local told = redis.pcall('XADD', feed, feed_ms .. '-' .. sequence + number, 'session', session,
        'id', answer[number + 2], 'type', arguments[at], 'agent', arguments[at + 1], 'link', arguments[at + 7],
        'facts', arguments[at + 9])
    if type(told) ~= 'table' then
        at = at + WIDTH
    elseif refused then
        return told
    else
        refused = true
        ask_feed()
    end
end

-- The head -------------------------------------------------------------------------------------------------------
local fields = { 'HSET', head, 'revision', revision, 'link', arguments[LAST + LINK], 'ms', ms }
if base_revision == 0 then
    fields[#fields + 1] = 'created'
    fields[#fields + 1] = ms
end
for field, value in pairs(changes) do
    fields[#fields + 1] = field
    fields[#fields + 1] = value
    if #fields > 1000 then
        call(unpack(fields))
        fields = { 'HSET', head }
    end
end
if #fields > 2 then call(unpack(fields)) end
return answer
