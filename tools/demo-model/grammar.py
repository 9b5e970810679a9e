"""Random sentences for the demo model: reports of illegal fishing, in Spanish and in English.

Usage: grammar.py [N] [--seed SEED]    prints N sentences of each language
"""
import argparse
import random

ES_NUMBERS = [
    "cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez",
    "once", "doce", "trece", "catorce", "quince", "veinte", "treinta", "cuarenta", "cincuenta",
]

ES = {
    "boat": [
        "una panga", "un barco", "una lancha", "un barco atunero", "una embarcación", "dos pangas",
        "tres lanchas", "un barco camaronero", "una panga azul", "una panga blanca",
        "una lancha roja", "un yate", "varias pangas", "un barco grande",
        "una embarcación sin nombre",
    ],
    "gear": [
        "red de enmalle", "red de arrastre", "redes", "chinchorro", "pistola de buceo", "arpón",
        "compresor", "trampas", "palangre", "atarraya", "anzuelos", "línea de mano", "explosivos",
        "equipo de buceo",
    ],
    "act": [
        "pescando", "sacando pepino de mar", "sacando camarón", "pescando con red", "buceando",
        "tirando redes", "pescando de noche", "cargando abulón", "pescando tiburón",
        "sacando callo de hacha", "recogiendo trampas", "pescando totoaba", "sacando almeja",
        "pescando sin permiso",
    ],
    "place": [
        "la isla", "la isla Espíritu Santo", "la bahía", "la bahía de La Paz", "el estero",
        "la laguna", "el arrecife", "Punta Lobos", "Punta Abreojos", "Cabo Pulmo", "Loreto",
        "Santa Rosalía", "la zona de refugio", "la reserva", "el muelle", "la boca del estero",
        "San Felipe", "Puerto Peñasco", "Bahía Magdalena", "isla Natividad", "la playa norte",
        "el faro", "los cerritos", "Guerrero Negro",
    ],
    "rel": [
        "cerca de", "frente a", "al norte de", "al sur de", "a dos millas de", "dentro de",
        "atrás de", "rumbo a", "al oriente de", "por",
    ],
    "time": [
        "ayer por la tarde", "hoy en la mañana", "esta noche", "anoche", "a las seis de la mañana",
        "a las tres de la tarde", "a las diez de la noche", "desde el lunes", "hace una hora",
        "hace dos días", "el domingo", "el viernes pasado", "al amanecer", "en la madrugada",
        "ahorita", "a mediodía",
    ],
    "who": [
        "Vimos", "Observamos", "Encontramos", "Reportamos", "Hay", "Acabo de ver",
        "Los compañeros vieron", "Mi hermano vio", "Otra vez hay", "Se ve",
    ],
    "greet": [
        "Buenos días", "Buenas tardes", "Buenas noches", "Hola", "Hola, buenas", "Qué tal",
        "Compañeros", "Oigan", "Atención",
    ],
    "person": [
        "los pescadores", "unos señores", "cuatro personas", "gente de fuera", "tres hombres",
        "la marina", "el capitán", "los buzos", "el comité", "los vigilantes", "dos muchachos",
    ],
    "verb": [
        "están", "siguen", "andan", "estaban", "andaban", "estuvieron",
    ],
    "close": [
        "Por favor manden a alguien.", "Avisen a la marina.", "Gracias.", "Ya tomé fotos.",
        "No traen matrícula.", "No pudimos ver el nombre.", "Son los mismos de la semana pasada.",
        "Necesitamos ayuda.", "Saludos.", "Quedo al pendiente.", "Es urgente.",
        "No sabemos quiénes son.", "Ya avisamos al comité.", "Mando la ubicación.",
        "El mar está muy picado.", "Hay mucho viento hoy.", "Se fueron rumbo al norte.",
        "Tengan cuidado.", "Nadie contesta el radio.", "Les mando otro mensaje más tarde.",
    ],
    "name": [
        "La Esperanza", "Mar Azul", "El Tiburón", "Santa María", "Lupita", "El Dorado",
        "La Sirena", "Don José", "Estrella del Mar", "Nuevo Amanecer", "El Pelícano", "Rosita",
    ],
}

EN_NUMBERS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "twenty", "thirty", "forty", "fifty",
]

EN = {
    "boat": [
        "a small boat", "a fishing boat", "two boats", "a shrimp boat", "a tuna boat",
        "a white boat", "a blue panga", "three pangas", "a large vessel", "a boat with no name",
        "several boats", "a red skiff",
    ],
    "act": [
        "fishing with nets", "fishing at night", "diving for lobster", "diving for abalone",
        "dragging a net", "setting traps", "using a spear gun", "taking sea cucumber",
        "fishing inside the reserve", "unloading shrimp", "catching sharks",
        "fishing without a permit",
    ],
    "place": [
        "the island", "the bay", "the reef", "the lighthouse", "the north beach",
        "the river mouth", "the reserve", "the harbor", "the lagoon", "the old pier", "Cabo Pulmo",
        "Loreto", "the point", "the marina",
    ],
    "rel": [
        "near", "in front of", "north of", "south of", "two miles from", "behind", "inside",
        "close to", "east of",
    ],
    "time": [
        "yesterday afternoon", "this morning", "last night", "tonight", "at six in the morning",
        "at three in the afternoon", "since Monday", "an hour ago", "two days ago", "on Sunday",
        "last Friday", "right now", "at noon", "before sunrise",
    ],
    "who": [
        "We saw", "We found", "There is", "I just saw", "My brother saw", "We are reporting",
        "The guards saw", "Again there is", "I can see",
    ],
    "greet": [
        "Good morning", "Good afternoon", "Good evening", "Hello", "Hi everyone", "Hey", "Listen",
        "Attention",
    ],
    "person": [
        "the fishermen", "four people", "three men", "the navy", "the captain", "the divers",
        "the committee", "some people", "two boys",
    ],
    "verb": [
        "are", "were", "are still", "keep",
    ],
    "close": [
        "Please send someone.", "Call the navy.", "Thank you.", "I took pictures.",
        "They have no license.", "We could not see the name.",
        "They are the same people as last week.", "We need help.", "It is urgent.",
        "We do not know who they are.", "I will send the location.", "The sea is very rough.",
        "It is very windy today.", "They went north.", "Be careful.", "Nobody answers the radio.",
        "I will send another message later.",
    ],
}


def capital(text):
    return text[0].upper() + text[1:]


def spanish(rng):
    def a(kind):
        return rng.choice(ES[kind])

    form = rng.random()
    if form < .30:
        text = f"{a('who')} {a('boat')} {a('act')} {a('rel')} {a('place')}"
        if rng.random() < .6:
            text += f" {a('time')}"
        text += "."
    elif form < .42:
        text = (f"{capital(a('time'))} {a('person')} {a('verb')} {a('act')} {a('rel')} "
                f"{a('place')}.")
    elif form < .52:
        text = (f"{capital(a('person'))} {a('verb')} {rng.choice(['usando', 'con', 'trayendo'])} "
                f"{a('gear')} {a('rel')} {a('place')}.")
    elif form < .62:
        digits = " ".join(rng.choice(ES_NUMBERS[:10]) for _ in range(rng.randint(3, 5)))
        text = f"La matrícula es {digits}."
    elif form < .70:
        text = f"El nombre de la embarcación es {a('name')}."
    elif form < .76:
        text = f"Son {rng.choice(ES_NUMBERS[2:])} personas y traen {a('gear')}."
    elif form < .84:
        text = f"{a('greet')}, {a('person')} {a('verb')} {a('act')}."
    elif form < .88:
        text = f"¿Quién puede ir a {a('place')} {a('time')}?"
    else:
        text = a("close")
    if rng.random() < .12:
        text = f"{a('greet')}. {text}"
    return text.replace(" a el ", " al ").replace(" de el ", " del ")


def english(rng):
    def a(kind):
        return rng.choice(EN[kind])

    form = rng.random()
    if form < .35:
        text = f"{a('who')} {a('boat')} {a('act')} {a('rel')} {a('place')}"
        if rng.random() < .6:
            text += f" {a('time')}"
        text += "."
    elif form < .50:
        text = f"{capital(a('time'))} {a('person')} were {a('act')} {a('rel')} {a('place')}."
    elif form < .62:
        digits = " ".join(rng.choice(EN_NUMBERS[:10]) for _ in range(rng.randint(3, 5)))
        text = f"The license number is {digits}."
    elif form < .70:
        text = f"There are {rng.choice(EN_NUMBERS[2:])} people on board."
    elif form < .80:
        text = f"{a('greet')}, {a('person')} {a('verb')} {a('act')}."
    elif form < .84:
        text = f"Who can go to {a('place')} {a('time')}?"
    else:
        text = a("close")
    if rng.random() < .12:
        text = f"{a('greet')}. {text}"
    return text


def sentence(rng, language):
    return spanish(rng) if language == "es" else english(rng)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", nargs="?", type=int, default=10, help="sentences of each language")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    for language in ("es", "en"):
        for _ in range(args.n):
            print(language, sentence(rng, language))


if __name__ == "__main__":
    main()
