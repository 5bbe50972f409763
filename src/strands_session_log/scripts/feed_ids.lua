-- What the scripts about groups have in common; it stands before them. Ids of a feed are `<ms>-<sequence>`, and a gap is
-- two of them: what is missing is after the one and before the other.
local function sequence_of(id)
    return tonumber(string.match(id, '%d+$'))
end

local function beside(id, by)
    local ms, sequence = string.match(id, '^(%d+)%-(%d+)$')
    return ms .. '-' .. string.format('%.0f', tonumber(sequence) + by)
end

-- The gap that has both in it.
local function widened(gap, after, before)
    local first, last = string.match(gap or '', '^(%S+) (%S+)$')
    if first and sequence_of(first) < sequence_of(after) then after = first end
    if last and sequence_of(last) > sequence_of(before) then before = last end
    return after .. ' ' .. before
end

-- What XINFO answers, by name.
local function named(flat)
    local fields = {}
    for at = 1, #flat, 2 do fields[flat[at]] = flat[at + 1] end
    return fields
end

-- The last id that a group was given; nil when there is no such group.
local function delivered_to(feed, name)
    if redis.call('EXISTS', feed) == 0 then return nil end
    for _, info in ipairs(redis.call('XINFO', 'GROUPS', feed)) do
        local group = named(info)
        if group['name'] == name then return group['last-delivered-id'] end
    end
end
