"""Words that suites of this folder put into their problems. Lists are data: a change of one changes every seed's items."""

PEOPLE = (
    "Ada", "Bruno", "Chidi", "Dana", "Emeka", "Farah", "Goran", "Hana", "Ivo", "Jun", "Keiko", "Leila", "Marta", "Nils",
    "Olga", "Priya", "Quentin", "Rosa", "Samir", "Tove", "Uma", "Viktor", "Wanda", "Yusuf",
)  # fmt: skip
SURNAMES = (
    "Abbott", "Becker", "Castillo", "Dubois", "Eriksen", "Fischer", "Greene", "Haddad", "Ito", "Jansen", "Kowalski", "Lopez",
    "Moreau", "Novak", "Okafor", "Petrov", "Quinn", "Rossi", "Schulz", "Tanaka", "Usman", "Vidal", "Wagner", "Yilmaz", "Zhang",
    "Bakshi", "Conti", "Dahl", "Egger", "Farouk",
)  # fmt: skip
THINGS = (
    "apples", "beads", "bottles", "candles", "cards", "coins", "eggs", "keys", "lemons", "marbles", "nails", "pencils", "shells",
    "stamps", "stones", "tickets",
)  # fmt: skip
COLOURS = (
    "red", "blue", "green", "yellow", "purple", "orange", "black", "white", "pink", "brown", "grey", "silver",
)  # fmt: skip
COUNTRIES = (
    "Argentina", "Australia", "Belgium", "Brazil", "Canada", "Chile", "China", "Colombia", "Denmark", "Egypt", "Finland",
    "France", "Germany", "Ghana", "Greece", "India", "Ireland", "Italy", "Japan", "Kenya", "Mexico", "Morocco", "Nepal",
    "Norway", "Peru", "Poland", "Portugal", "Spain", "Sweden", "Turkey", "Uruguay", "Vietnam",
)  # fmt: skip
