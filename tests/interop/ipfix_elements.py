# SPDX-License-Identifier: GPL-2.0-or-later
"""IANA's elements of IPFIX: abstract types, ranges, which may be reversed."""

REVERSE = 29305
VARIABLE = 65535

# Abstract types in the order of RFC 5610's numbers.
TYPES = ("octets", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f32", "f64", "bool",
         "mac", "string", "seconds", "ms", "us", "ns", "ip4", "ip6", "list", "list", "list")

ELEMENTS = {
    "octets": "70-79 90 95 104 210 262 266 274-275 313-317 347 349 411 435-437 445 449 464-465 "
    "482 486 489",
    "u8": "4-5 9 13 29-30 33 35 38-39 46 48-49 51-53 55 60-61 89 91 98 101 136 146 176-179 "
    "188-189 192-193 195-197 200 203 206-207 214-215 229-230 233 237 239-240 244 246 "
    "248 257 263 267 277 294 297 339 344 384 413 448",
    "u16": "6-7 11 32 36-37 58-59 88 102-103 139 145 180-183 186-187 190-191 205 216-217 "
    "227-228 238 241-243 245 250 254-256 259 285-287 303-304 312 345 361-364 370 390 "
    "400 408-410 457-458",
    "u32": "10 14 16-17 21-22 31 34 50 54 64 87 92-93 99 128-129 141-144 149 158-159 161-162 "
    "184-185 194 201-202 204 208 213 234-235 249 251-253 278 283 295-296 305-310 346 "
    "368-369 380-381 385-387 405-406 412 440-442 446 463 466-467 471-481 483",
    "u64": "1-3 19-20 23-26 40-42 85-86 132-135 137-138 148 163-168 171-175 198-199 209 "
    "218-224 231-232 279-280 298-299 301-302 318-319 326-332 334 342-343 351-358 "
    "375-379 382-383 391-399 401-402 407 417-418 420-431 433 439 447",
    "s32": "434",
    "f64": "311 320-321 336-338",
    "bool": "276 333 388-389",
    "mac": "56-57 80-81 365 367 414-415",
    "string": "82-84 94 96 100 147 236 247 284 288-290 300 335 340-341 348 350 371-374 450-456 "
    "459-462 468-470",
    "seconds": "150-151 260-261 264-265 322",
    "ms": "152-153 160 258 269 272 323 359-360",
    "us": "154-155 268 271 324",
    "ns": "156-157 270 273 325",
    "ip4": "8 12 15 18 43-45 47 130 211 225-226 366 403 432 438",
    "ip6": "27-28 62-63 131 140 169-170 212 281-282 404",
    "list": "291-293 443-444 484-485 487-488 490-491",
}


def _numbers(text):
    for word in text.split():
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


TYPE_OF = {n: kind for kind, numbers in ELEMENTS.items() for n in _numbers(numbers)}

EXACT = {"ip4": 4, "ip6": 16, "mac": 6, "seconds": 4, "ms": 8, "us": 8, "ns": 8, "bool": 1}
# These may be sent with fewer octets.
AT_MOST = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "s8": 1, "s16": 2, "s32": 4, "s64": 8}
FLOATS = {"f32": (4,), "f64": (4, 8)}


def fits(kind, length):
    """May an element of that type have that length in a template?"""
    if kind in EXACT:
        return length == EXACT[kind]
    if kind in AT_MOST:
        return 1 <= length <= AT_MOST[kind]
    return length in FLOATS[kind] if kind in FLOATS else length > 0


# Values IANA has given a meaning.
RANGES = {9: (0, 32), 13: (0, 32), 29: (0, 128), 30: (0, 128), 31: (0, 0xFFFFF), 88: (0, 8191),
          136: (1, 5), 195: (0, 63), 196: (0, 7), 229: (1, 2), 230: (0, 18), 233: (0, 5),
          239: (0, 3), 297: (0, 6)}

ADDRESSES = {8, 12, 27, 28, 44, 45, 169, 170, 225, 226, 281, 282}
# source* and destination*
KEYS = ADDRESSES | {7, 9, 11, 13, 29, 30, 56, 80}
PORTS, ICMP = {7, 11}, {32, 139, 176, 177, 178, 179}
# Identifiers, the process's configuration and statistics, padding, direction
IRREVERSIBLE = {40, 41, 42, 130, 131, 137, 143, 144, 145, 148, 149, 163, 164, 165, 166, 167,
                168, 173, 210, 211, 212, 213, 214, 215, 216, 217, 239}

STATISTICS, UNREAD, LOST = {40, 41, 42}, {164, 165}, {166, 167, 168}
TOTALS = STATISTICS | UNREAD | LOST
EXPORTERS = {130, 131, 144}
OBSERVED = {322, 323, 324, 325}  # observationTime*
STARTS = {150: 151, 152: 153, 154: 155, 156: 157}  # start: end of the same unit

SESSION_EVENTS, BIB_EVENTS, PORT_EVENTS = {4, 5, 6, 7}, {8, 9, 10, 11}, {16, 17}
_V4, _V6 = {8, 225, 4, 7, 227}, {27, 225, 4, 7, 227}
# What a record of that natEvent must have, besides the time and the event.
NAT_FIELDS = {4: _V4, 5: _V4, 6: _V6, 7: _V6, 8: _V4, 9: _V4, 10: _V6, 11: _V6, 14: {225},
              15: {225}, 16: {225, 361}, 17: {225, 361}}
DESTINATIONS = {11, 12, 28, 226, 228, 282}
