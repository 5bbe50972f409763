-- Appends a batch of events to one session: all of it, or nothing.
-- uses: lib/batch, lib/feed_append, lib/life, lib/summary, lib/time
--
-- KEYS: events, head, feed, sessions, position, and for a batch that begins a session tombstones (one slot)
-- ARGV: see lib/batch.lua
--
-- Returns {'landed', link, id...}; the same with 'begun' when the feed begins anew, so that the caller may look what
-- else is gone; {'conflict', what, agent, actual}; {'moved', id, link}, with the token of the deletion as link where a
-- session of this id was deleted last; {'deleted'} for a late packet of what was deleted.
--
-- Every message of every agent waits for this, so the way of one that simply follows has as few commands as it can, and
-- functions for what comes twice only: both cost more than what they do.
local call, arguments = redis.call, ARGV

-- Message indices are kept as ascending ranges: "0-41", or "0-3,7-9" where a writer left a gap. The last of them, as text.
local LAST_INDEX, NO_RANGES = '%-(%-?%d+)$', 'BADHEAD what should be ranges of message indices is none'

-- The ranges with one more index in them; nothing if it is in use.
local function insert(ranges, index)
    if ranges ~= '' and not string.match(ranges, LAST_INDEX) then error(redis.error_reply(NO_RANGES)) end
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

local function append()
    local events, head, feed, sessions, position, tombstones = unpack(KEYS)
    local first_revision, base_link, base, session, expectation, subject, wanted, wanted_next, delta = unpack(arguments, 1, 9)
    local base_revision = first_revision - 1
    local LAST = #arguments - WIDTH + 1
    local count = (#arguments - FIRST + 1) / WIDTH

    -- Where the session stands ---------------------------------------------------------------------------------------
    -- Most batches are about one agent, so what is known of the first one's comes along.
    local first_agent = arguments[FIRST + AGENT]
    local first_messages, first_moved = 'agent:' .. first_agent .. ':messages', 'agent:' .. first_agent .. ':moved'
    local known, errors, sent, received, steps
    if delta == '' then
        known = call('HMGET', head, 'revision', 'link', 'ms', first_messages, first_moved)
    else
        steps = delta
        if string.byte(delta) < 58 and string.byte(delta) > 47 then
            errors, sent, received, steps = string.match(delta, '^(%d+) (%d+) (%d+)\n(.*)$')
        end
        if errors and steps ~= '' then
            known = call('HMGET', head, 'revision', 'link', 'ms', first_messages, first_moved, 'counts', 'open')
        else
            known = call('HMGET', head, 'revision', 'link', 'ms', first_messages, first_moved, errors and 'counts' or 'open')
        end
    end
    -- Lua writes whole numbers below 10^14 out in full; milliseconds get there in the year 5138.
    local revision, last_ms = tonumber(known[1] or 0), tonumber(known[3] or 0)
    -- A link is 43 characters: 32 bytes in base64url.
    if not revision or revision < 0 or revision >= 1e14 or revision % 1 ~= 0
        or not last_ms or last_ms < 0 or last_ms >= 1e14 or last_ms % 1 ~= 0
        or revision > 0 and not (known[2] and #known[2] == 43) then
        return redis.error_reply('BADHEAD of session ' .. session .. ' nothing can follow its revision, link and ms')
    end

    local predecessor, former = nil, ''
    if revision == 0 then
        if call('EXISTS', events) == 1 then
            return redis.error_reply('HALFLOST of session ' .. session ..
                ' the head is gone but its events are not; restore it or delete the session')
        end
        if base_revision == 0 then
            -- A late packet must not bring a deleted session back: not of the call that began it, which is told so; nor
            -- of any other that was sent before, and does not know of the deletion.
            local lives = call('HGET', tombstones, redis.sha1hex(session))
            if lives and string.find(lives, arguments[FIRST + LINK], 1, true) then return { 'deleted' } end
            local ended
            predecessor, former, ended = predecessor_in(lives)
            if type(ended) == 'number' and ended < 1e14 then last_ms = math.floor(ended) + 1 end
        end
    end

    -- Has an earlier attempt of this very call landed? ---------------------------------------------------------------
    if revision > base_revision then
        local answer = landed(events)
        if answer then
            write_for_waiting(head, known[1])
            return answer
        end
    end

    -- Is what the writer expects still so? ---------------------------------------------------------------------------
    -- What moves is an agent, or a graph or swarm (multi_agent), which may have the same id.
    local changes = {}
    if expectation == 'agent' or expectation == 'multi_agent' then
        if wanted ~= '' then
            -- An id tells histories apart that share a revision; a bare revision is for those who know no more.
            local is_known = subject == first_agent and expectation == 'agent'
            local at = is_known and known[5] or call('HGET', head, expectation .. ':' .. subject .. ':moved') or '0-0'
            if at ~= wanted and string.match(at, '-(%d+)$') ~= wanted then
                return { 'conflict', revision == 0 and 'session' or expectation, subject, at }
            end
        end
        if wanted_next ~= '' then
            local ranges = subject == first_agent and known[4] or call('HGET', head, 'agent:' .. subject .. ':messages') or ''
            local last = string.match(ranges, LAST_INDEX)
            if not last and ranges ~= '' then error(redis.error_reply(NO_RANGES)) end
            local actual = (last or -1) + 1
            if actual ~= tonumber(wanted_next) then
                return { 'conflict', revision == 0 and 'session' or 'next_message', subject, tostring(actual) }
            end
        end
    elseif expectation == 'life' then
        -- Where a session is to begin, the tombstone tells which one it follows; it is read once the base is its beginning.
        local is_known = revision > 0 or base_revision == 0
        local at = revision > 0 and call('HMGET', head, 'created', 'predecessor') or { '', predecessor }
        if is_known and (at[1] or '') .. ' ' .. (at[2] or '') ~= wanted then
            return { 'conflict', 'session', '', tostring(revision) }
        end
    elseif expectation == 'absent' and revision > 0
        or expectation == 'revision' and revision ~= tonumber(wanted) then
        return { 'conflict', revision == 0 and 'session' or 'revision', '', tostring(revision) }
    end

    for at = FIRST, LAST, WIDTH do
        local index = arguments[at + MOVES]
        local number = tonumber(index)
        if number then
            local agent = arguments[at + AGENT]
            local field = agent == first_agent and first_messages or 'agent:' .. agent .. ':messages'
            local ranges = changes[field] or agent == first_agent and known[4] or call('HGET', head, field) or ''
            local last = string.match(ranges, LAST_INDEX)
            -- Nearly always it follows; then it is put there as it was told, since to write a number out takes long.
            changes[field] = last and last + 1 == number and string.sub(ranges, 1, -#last - 1) .. index or insert(ranges, number)
            if not changes[field] then return { 'conflict', 'message', agent, index } end
        end
    end
    -- The time counts, too: events cover the id that their batch follows, and another primary may have given another.
    local stands, link = '0-0', former
    if revision > 0 then stands, link = known[3] .. '-' .. known[1], known[2] end
    if stands ~= base or link ~= base_link then return { 'moved', stands, link } end

    -- The clock, and where the feed goes on: what somebody has put there may be no feed --------------------------------
    local now = ms_text(call('TIME'))
    local ms = tonumber(now) > last_ms and now or revision > 0 and known[3] or tostring(last_ms)
    local place = place_in_feed(feed, position, call('XLEN', feed), now, count)

    -- From here on nothing can fail but the first write, where the server may refuse for want of memory, and the
    -- first event, whose stream may be gone: then the directory has a newer time, and nothing else is written --------
    call('ZADD', sessions, ms, session)
    -- An empty stream for a new session: an event never makes one, so that events which are gone are noticed.
    if base_revision == 0 then call('XADD', events, 'MAXLEN', 0, '0-1', '', '') end
    local answer, revision_text = { 'landed', arguments[LAST + LINK] }, nil
    for at = FIRST, LAST, WIDTH do
        revision = revision + 1
        revision_text = revision_text and tostring(revision) or first_revision
        local id = ms .. '-' .. revision_text
        local type_, agent, event, time, v, trace, retained, salt, its_link, body, facts, moves =
            unpack(arguments, at, at + WIDTH - 1)
        local added = call('XADD', events, 'NOMKSTREAM', id, 'type', type_, 'agent', agent, 'event', event, 'time', time,
            'v', v, 'trace', trace, 'base', base, 'retained', retained, 'salt', salt, 'link', its_link, 'body', body)
        if not added then
            return redis.error_reply('HALFLOST of session ' .. session ..
                ' the events are gone but its head is not; restore it or delete the session')
        end
        answer[#answer + 1] = id
        add_to_feed(place, session, id, type_, agent, its_link, facts)
        if moves ~= '' then
            local kind = moves == 'multi_agent' and 'multi_agent:' or 'agent:'
            changes[agent == first_agent and moves ~= 'multi_agent' and first_moved or kind .. agent .. ':moved'] = id
        end
    end

    if not place.agreed then answer[1] = 'begun' end

    -- The head -------------------------------------------------------------------------------------------------------
    local fields = { 'HSET', head, 'revision', revision_text, 'link', arguments[LAST + LINK], 'ms', ms }
    if base_revision == 0 then changes.counts, changes.open = '0 0 0', '' end
    -- A session from before there was a summary has none, and gets none that says less than all.
    if delta ~= '' then
        local counts, lines = errors and (changes.counts or known[6]), changes.open or known[errors and 7 or 6]
        if counts then
            local some, given, got = string.match(counts, '^(%d+) (%d+) (%d+)$')
            if some then changes.counts = string.format('%d %d %d', some + errors, given + sent, got + received) end
        end
        if lines and steps ~= '' then
            local left = opened(lines, steps, ms)
            if left ~= lines then changes.open = left end
        end
    end
    if base_revision == 0 then
        fields[#fields + 1] = 'created'
        fields[#fields + 1] = ms
        if predecessor then
            fields[#fields + 1] = 'predecessor'
            fields[#fields + 1] = predecessor
        end
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
end
