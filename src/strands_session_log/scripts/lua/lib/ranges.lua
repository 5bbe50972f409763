-- Message indices are kept as ascending ranges: "0-41", or "0-3,7-9" where a writer left a gap.
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
