-- Appends a batch of events to one session: all of it, or nothing.
-- uses: lib/arguments, lib/time
--
-- KEYS: events, head, feed, sessions, position, and for a batch that begins a session tombstones (one slot)
-- ARGV: see lib/arguments.lua
--
-- Returns 'landed <link> <id>' with the last link and the first id; 'begun' in place of 'landed' when the feed begins anew,
-- so that the caller may look what else is gone; {'conflict', what, agent, actual}; {'moved', id, link}, with the token of
-- the deletion as link where a session of this id was deleted last; {'deleted'} for a late packet of what was deleted;
-- {'sealed', root} of a session whose content is encrypted with the key of that session, when the batch is not.
--
-- Every message of every agent waits for this, so the way of one that simply follows has as few commands as it can; a
-- number is not turned into text that the client has as text, and no table or function is made that it can do without:
-- each costs more than what it does. See docs/adr/0038.

-- ended: when the session was deleted that had its id before, where a script has made the head of another one; what is
--        appended is later, as it is where a session begins here.

-- The last of the indices that an agent's ranges have, as text.
local LAST_INDEX = '%-(%-?%d+)$'

-- root:  whose key the content of the batch is encrypted with; nothing if it is not encrypted.

local function append(ended, root)
    local call, arguments = redis.call, ARGV
    local events, head, feed, sessions, position, tombstones = unpack(KEYS)
    local first_revision, base_link, base, session, expectation, delta = unpack(arguments, 1, FIRST - 1)
    local LAST = #arguments - WIDTH + 1

    -- Where the session stands ---------------------------------------------------------------------------------------
    -- Most batches are about one agent, so what is known of the first one's comes along.
    local first_agent = arguments[FIRST + AGENT]
    local first_messages, first_moved = 'agent:' .. first_agent .. ':messages', 'agent:' .. first_agent .. ':moved'
    local known, errors, sent, received, steps
    if delta == '' then
        if root then
            known = call('HMGET', head, 'revision', 'link', 'ms', first_messages, first_moved, 'sealed')
        else
            known = call('HMGET', head, 'revision', 'link', 'ms', first_messages, first_moved)
        end
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
    local last_ms, begins, predecessor, stands, link = known[3], false, nil, '0-0', ''
    -- What is as its writer has it is as it should be, since there was a reader who took it for a position.
    local follows = known[1] and last_ms and base == last_ms .. '-' .. known[1] and base_link == known[2]
        and #base_link == 43 and #known[1] < 15 and #last_ms < 15 and base ~= '0-0'

    if not follows then
        -- here: lib/batch, lib/life
        -- Lua writes whole numbers below 10^14 out in full; milliseconds get there in the year 5138.
        local revision, base_revision = tonumber(known[1] or 0), first_revision - 1
        last_ms = tonumber(last_ms or 0)
        -- A link is 43 characters: 32 bytes in base64url.
        if not revision or revision < 0 or revision >= 1e14 or revision % 1 ~= 0
            or not last_ms or last_ms < 0 or last_ms >= 1e14 or last_ms % 1 ~= 0
            or revision > 0 and not (known[2] and #known[2] == 43 and known[3]) then
            return redis.error_reply('BADHEAD of session ' .. session .. ' nothing can follow its revision, link and ms')
        end
        if revision > 0 then
            stands, link, last_ms = known[3] .. '-' .. known[1], known[2], known[3]
        elseif call('EXISTS', events) == 1 then
            return redis.error_reply('HALFLOST of session ' .. session ..
                ' the head is gone but its events are not; restore it or delete the session')
        elseif base_revision == 0 then
            -- A late packet must not bring a deleted session back: not of the call that began it, which is told so; nor
            -- of any other that was sent before, and does not know of the deletion.
            local lives = call('HGET', tombstones, redis.sha1hex(session))
            if lives and string.find(lives, arguments[FIRST + LINK], 1, true) then return { 'deleted' } end
            begins, predecessor, link, ended = true, predecessor_in(lives)
        end
        -- Has an earlier attempt of this very call landed?
        if revision > base_revision then
            local answer = landed(events)
            if answer then
                write_for_waiting(head, known[1])
                return answer
            end
        end
    end

    -- Is what the writer expects still so? ---------------------------------------------------------------------------
    -- Of an agent that is to be where it is, nothing needs to be taken apart.
    local exists = stands ~= '0-0' or follows
    if expectation ~= '' and not (known[5] and expectation == 'agent ' .. known[5] .. '  ' .. first_agent) then
        local expected, rest = string.match(expectation, '^(%S*) ?(.*)$')
        if expected == 'agent' or expected == 'multi_agent' then
            -- What moves is an agent, or a graph or swarm (multi_agent), which may have the same id.
            local wanted, wanted_next, subject = string.match(rest, '^(%S*) (%S*) (.*)$')
            if wanted ~= '' then
                -- An id tells histories apart that share a revision; a bare revision is for those who know no more.
                local is_known = subject == first_agent and expected == 'agent'
                local at = is_known and known[5] or call('HGET', head, expected .. ':' .. subject .. ':moved') or '0-0'
                if at ~= wanted and string.match(at, '-(%d+)$') ~= wanted then
                    return { 'conflict', exists and expected or 'session', subject, at }
                end
            end
            if wanted_next ~= '' then
                -- here: lib/ranges
                local ranges = subject == first_agent and known[4] or call('HGET', head, 'agent:' .. subject .. ':messages') or ''
                local last = string.match(ranges, LAST_INDEX)
                if not last and ranges ~= '' then error(redis.error_reply(NO_RANGES)) end
                local actual = (last or -1) + 1
                if actual ~= tonumber(wanted_next) then
                    return { 'conflict', exists and 'next_message' or 'session', subject, tostring(actual) }
                end
            end
        elseif expected == 'life' then
            -- Where a session is to begin, the tombstone tells which one it follows; it is read once the base is its beginning.
            local at = exists and call('HMGET', head, 'created', 'predecessor') or begins and { '', predecessor }
            if at and (at[1] or '') .. ' ' .. (at[2] or '') ~= rest then
                return { 'conflict', 'session', '', tostring(tonumber(known[1] or 0)) }
            end
        elseif expected == 'absent' and exists
            or expected == 'revision' and tonumber(known[1] or 0) ~= tonumber(rest) then
            return { 'conflict', exists and 'revision' or 'session', '', tostring(tonumber(known[1] or 0)) }
        end
    end

    -- What becomes of the first agent, and of all else in the head.
    local messages, moved, changes = nil, nil, nil
    for at = FIRST, LAST, WIDTH do
        local index = arguments[at + MOVES]
        if index ~= '' and index ~= 'agent' and index ~= 'multi_agent' then
            local agent, field, ranges = arguments[at + AGENT], nil, messages or known[4] or ''
            if agent ~= first_agent then
                changes, field = changes or {}, 'agent:' .. agent .. ':messages'
                ranges = changes[field] or call('HGET', head, field) or ''
            end
            local last = string.match(ranges, LAST_INDEX)
            -- Nearly always it follows; then it is put there as it was told, since to write a number out takes long.
            if last and last + 1 == index + 0 then
                ranges = string.sub(ranges, 1, -#last - 1) .. index
            else
                -- here: lib/ranges
                ranges = insert(ranges, tonumber(index))
                if not ranges then return { 'conflict', 'message', agent, index } end
            end
            if field then changes[field] = ranges else messages = ranges end
        end
    end
    -- Once any content of a session is encrypted, all that follows is, with the key of the session its chain begins with.
    -- Who does not encrypt is told so before it is told where the session stands: who knows that has been told, or has
    -- read that it is not encrypted.
    if root or not follows then
        local sealed = known[6]
        if not root or delta ~= '' then sealed = call('HGET', head, 'sealed') end
        if sealed ~= (root or false) then
            local its_root = sealed or root and (exists and call('HGET', head, 'root') or session)
            if its_root ~= root then return { 'sealed', its_root } end
            changes = changes or {}
            changes.sealed = root
        end
    end
    -- The time counts, too: events cover the id that their batch follows, and another primary may have given another.
    if not follows and (stands ~= base or link ~= base_link) then return { 'moved', stands, link } end

    -- The clock, and where the feed goes on: what somebody has put there may be no feed --------------------------------
    if ended and ended < 1e14 and ended - last_ms >= 0 then last_ms = math.floor(ended) + 1 end
    local now = ms_text(call('TIME'))
    local ms = now - last_ms > 0 and now or tostring(last_ms)
    local count = (LAST - FIRST) / WIDTH + 1
    -- here: lib/feed_place

    -- From here on nothing can fail but the first write, where the server may refuse for want of memory, and the
    -- first event, whose stream may be gone: then the directory has a newer time, and nothing else is written --------
    call('ZADD', sessions, ms, session)
    -- An empty stream for a new session: an event never makes one, so that events which are gone are noticed.
    if begins then call('XADD', events, 'MAXLEN', 0, '0-1', '', '') end
    local id, revision, first_id = nil, first_revision, nil
    for at = FIRST, LAST, WIDTH do
        if first_id then revision = tostring(revision + 1) end
        id = ms .. '-' .. revision
        first_id = first_id or id
        local type_, agent, event, time, v, trace, retained, salt, its_link, body, facts, moves =
            unpack(arguments, at, at + WIDTH - 1)
        local added = call('XADD', events, 'NOMKSTREAM', id, 'type', type_, 'agent', agent, 'event', event, 'time', time,
            'v', v, 'trace', trace, 'base', base, 'retained', retained, 'salt', salt, 'link', its_link, 'body', body)
        if not added then
            return redis.error_reply('HALFLOST of session ' .. session ..
                ' the events are gone but its head is not; restore it or delete the session')
        end
        -- here: lib/feed_add
        if moves ~= '' and moves ~= 'multi_agent' and agent == first_agent then
            moved = id
        elseif moves ~= '' then
            changes = changes or {}
            changes[(moves == 'multi_agent' and 'multi_agent:' or 'agent:') .. agent .. ':moved'] = id
        end
    end

    -- The head -------------------------------------------------------------------------------------------------------
    local last_link = arguments[LAST + LINK]
    local answer = (agreed and 'landed ' or 'begun ') .. last_link .. ' ' .. first_id
    if moved and messages and not changes and delta == '' and not begins then
        -- Nearly every append of a message: nothing is collected before it is written.
        call('HSET', head, 'revision', revision, 'link', last_link, 'ms', ms, first_messages, messages, first_moved, moved)
        return answer
    end
    changes = changes or {}
    changes[first_messages], changes[first_moved] = messages, moved
    if begins then changes.counts, changes.open, changes.created, changes.predecessor = '0 0 0', '', ms, predecessor end
    -- A session from before there was a summary has none, and gets none that says less than all.
    if delta ~= '' then
        local counts, lines = errors and (changes.counts or known[6]), changes.open or known[errors and 7 or 6]
        if counts then
            local some, given, got = string.match(counts, '^(%d+) (%d+) (%d+)$')
            if some then changes.counts = string.format('%d %d %d', some + errors, given + sent, got + received) end
        end
        if lines and steps ~= '' then
            -- here: lib/summary
            local left = opened(lines, steps, ms)
            if left ~= lines then changes.open = left end
        end
    end
    local fields, size = { 'HSET', head, 'revision', revision, 'link', last_link, 'ms', ms }, 8
    for field, value in pairs(changes) do
        fields[size + 1], fields[size + 2], size = field, value, size + 2
        if size > 1000 then
            call(unpack(fields))
            fields, size = { 'HSET', head }, 2
        end
    end
    if size > 2 then call(unpack(fields)) end
    return answer
end
