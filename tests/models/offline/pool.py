"""Words from which random files are made: a pool, not a list that the model knows."""

_NOUNS = """
anchor apron arrow badge basin beacon bench blanket boiler bottle bracket bridge broom bucket buoy cable candle
canoe carpet cart chisel clamp clock coil comet compass crane crate cylinder depot drone drill engine falcon ferry
filter flange forge funnel garden gasket generator glacier goblet grinder hammer harbour harvest helmet hinge
hydrant jacket journal kettle kiln ladder lantern lathe lemon lens lever locker loom magnet mallet mirror module
mortar motor needle nozzle orchard organ oven paddle parcel pebble pendulum pigment pillow piston planet plough
pulley quarry quilt radiator rafter reactor receipt relay ribbon rotor saddle sensor shuttle sickle siphon spanner
spindle spring statue stove tanker telescope tractor trailer trowel tunnel turbine valley valve vessel violin wagon
wallet warehouse whistle winch
"""
_MEASURES = """
weight height width depth price cost salary rainfall pressure speed score rating rent budget capacity voltage
torque humidity density altitude distance mileage revenue profit turnover stock yield thickness radius brightness
noise latency demand supply debt tax fee bonus margin premium discount balance
"""
_COUNTS = """
rooms seats doors wheels pages windows floors passengers crew berths drawers shelves visits goals points
"""
_CATEGORIES = """
city colour region country department species genre brand material shape status season district vendor supplier
category grade team league habitat language religion faculty sector climate owner
"""
_SYLLABLES = """
ba be bi bo bu da de di do du fa fe fi fo ga ge gi go ka ke ki ko la le li lo lu ma me mi mo mu na ne ni no nu pa
pe pi po ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo wa wo za ze zi zo
"""
_MONTHS = """
January February March April May June July August September October November December
"""
_PARTS = "valves seals bolts lamps wheels sensors springs panels handles screws plates cables"

NOUNS = _NOUNS.split()
MEASURES = _MEASURES.split()
COUNTS = _COUNTS.split()
CATEGORIES = _CATEGORIES.split()
SYLLABLES = _SYLLABLES.split()
MONTHS = _MONTHS.split()
PARTS = _PARTS.split()
UNITS = ("kg", "km", "eur", "usd", "m", "cm", "mm", "litres", "")
