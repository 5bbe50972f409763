-- Ids of a feed are `<ms>-<sequence>`. What others have written may be anything: what is no id counts as absent.

local function sequence_of(id)
    return tonumber(string.match(id, '%d+$'))
end

-- Numbers of up to 15 digits are exact in Lua; milliseconds have 13.
local function is_id(text)
    local ms, sequence = string.match(text or '', '^(%d+)%-(%d+)$')
    return ms and #ms <= 15 and #sequence <= 15
end

local function id_or_nil(text)
    return is_id(text) and text or nil
end

-- No envelope has the sequence 0.
local function beside(id, by)
    local ms, sequence = string.match(id, '^(%d+)%-(%d+)$')
    return ms .. '-' .. string.format('%.0f', math.max(0, tonumber(sequence) + by))
end

-- The first entry that follows an id; after the largest there is, nothing can.
local function first_after(feed, id, last)
    local found = redis.pcall('XRANGE', feed, '(' .. id, last or '+', 'COUNT', 1)
    if found.err and not string.find(found.err, 'interval') then return redis.call('XRANGE', feed, '(' .. id, '+') end
    return found[1]
end

-- What others have written to a feed may have any number, so that nothing follows from it.
local MOST_FOREIGN = 100

local function is_envelope(fields)
    return #fields == 12 and fields[1] == 'session'
end

-- Whether an id stands before another in the stream, whatever their numbers are.
local function stands_before(one, other)
    local ms, sequence = string.match(one, '^(%d+)%-(%d+)$')
    local other_ms, other_sequence = string.match(other, '^(%d+)%-(%d+)$')
    if tonumber(ms) ~= tonumber(other_ms) then return tonumber(ms) < tonumber(other_ms) end
    return tonumber(sequence) < tonumber(other_sequence)
end

-- Whether no number is missing between the last that is known and an entry that follows. Where others have written
-- between, what stands before that tells.
local function follows(feed, last, id)
    local number = sequence_of(id)
    if number <= last + 1 then return true end
    for _, entry in ipairs(redis.call('XREVRANGE', feed, '(' .. id, '-', 'COUNT', MOST_FOREIGN)) do
        if sequence_of(entry[1]) == number - 1 then return true end
    end
    return false
end
