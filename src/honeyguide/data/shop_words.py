"""The words of the simulated shop, and how they become titles and descriptions.

Special: no two items share a title, and the words mean something. Style, brand and product are the
very things that users of the shop have a taste for, so a model that reads text can learn from them.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Aisle:
    """One category: its products, what they are made in, a typical price, what they are for."""

    products: tuple[str, str, str, str, str, str]
    makes: tuple[str, str, str, str, str, str]
    price: float
    purpose: str


AISLES: dict[str, Aisle] = {
    "Kitchen": Aisle(
        ("Frying Pan", "Saucepan", "Chef's Knife", "Cutting Board", "Mixing Bowl", "Kettle"),
        ("Steel", "Copper", "Iron", "Enamel", "Ceramic", "Titanium"),
        35.0,
        "for everyday cooking and long Sunday dinners",
    ),
    "Tableware": Aisle(
        ("Dinner Plate", "Soup Bowl", "Coffee Mug", "Teapot", "Serving Tray", "Carafe"),
        ("Stoneware", "Porcelain", "Glass", "Bamboo", "Earthenware", "Pewter"),
        22.0,
        "for a table where guests stay late",
    ),
    "Garden": Aisle(
        ("Trowel", "Pruning Shears", "Watering Can", "Planter", "Hose Reel", "Bird Feeder"),
        ("Zinc", "Cedar", "Terracotta", "Galvanised", "Ash", "Recycled"),
        28.0,
        "for beds, balconies and borders in every season",
    ),
    "Camping": Aisle(
        ("Tent", "Sleeping Bag", "Camp Stove", "Head Lamp", "Hiking Backpack", "Hammock"),
        ("Ripstop", "Alpine", "Three-Season", "Trail", "Storm", "Featherweight"),
        90.0,
        "for nights under the stars, in rain or shine",
    ),
    "Cycling": Aisle(
        ("Bike Helmet", "Saddle", "Pannier", "Floor Pump", "Bike Light", "Handlebar Bag"),
        ("Carbon", "Alloy", "Commuter", "Gravel", "Touring", "Reflective"),
        55.0,
        "for the daily commute and the open road",
    ),
    "Audio": Aisle(
        ("Headphones", "Earbuds", "Bookshelf Speaker", "Turntable", "Soundbar", "Microphone"),
        ("Wireless", "Studio", "Walnut", "Hi-Res", "Portable", "Noise-Cancelling"),
        140.0,
        "for listening closely, at home or on the move",
    ),
    "Office": Aisle(
        ("Desk Lamp", "Notebook", "Fountain Pen", "Desk Organiser", "Keyboard", "Monitor Stand"),
        ("Oak", "Aluminium", "Linen", "Matte", "Leather", "Brass"),
        40.0,
        "for a desk where the work gets done",
    ),
    "Furniture": Aisle(
        ("Armchair", "Coffee Table", "Bookcase", "Bedside Table", "Dining Chair", "Sideboard"),
        ("Beech", "Rattan", "Velvet", "Birch", "Upholstered", "Teak"),
        220.0,
        "for living rooms that are lived in",
    ),
    "Clothing": Aisle(
        ("Sweater", "Shirt", "Rain Jacket", "Scarf", "Trousers", "Cardigan"),
        ("Merino", "Cotton", "Organic", "Waxed", "Flannel", "Cashmere"),
        65.0,
        "for cool mornings and warm afternoons",
    ),
    "Shoes": Aisle(
        ("Running Shoes", "Ankle Boots", "Sandals", "Loafers", "Hiking Boots", "Sneakers"),
        ("Suede", "Canvas", "Knitted", "Nubuck", "Waterproof", "Cork"),
        95.0,
        "for walking further than planned",
    ),
    "Beauty": Aisle(
        ("Face Cream", "Hand Soap", "Shampoo Bar", "Body Lotion", "Lip Balm", "Bath Oil"),
        ("Lavender", "Oat", "Rosemary", "Shea", "Citrus", "Sea Salt"),
        16.0,
        "for a quiet quarter of an hour each day",
    ),
    "Toys": Aisle(
        ("Building Blocks", "Jigsaw Puzzle", "Board Game", "Kite", "Train Set", "Plush Bear"),
        ("Wooden", "Magnetic", "Rainbow", "Giant", "Pocket", "Musical"),
        25.0,
        "for rainy days and birthday mornings",
    ),
}

STYLES: dict[str, str] = {
    "Classic": "A classic line that will not date",
    "Minimal": "Nothing that does not need to be there",
    "Rustic": "Rough in the right places and made to age well",
    "Nordic": "Light, calm and practical in the Nordic manner",
    "Vintage": "Made after a pattern from the nineteen-fifties",
    "Bold": "Strong shapes and stronger colours",
    "Playful": "Made with a wink",
    "Elegant": "Slender, polished and quietly elegant",
    "Industrial": "Straight from the workshop floor, screws and all",
    "Urban": "Made for small flats and busy streets",
    "Coastal": "Salt-washed colours and easy shapes",
    "Retro": "Bright as a seventies record sleeve",
    "Artisan": "Finished by hand, no two quite alike",
    "Sporty": "Quick, tough and easy to clean",
    "Luxe": "The best materials, generously used",
    "Compact": "Folds away to almost nothing",
    "Natural": "Undyed, unbleached and untreated",
    "Smart": "Cleverer than it looks",
    "Heritage": "From a family pattern book",
    "Modern": "Clean lines and a fresh idea",
}

BRANDS: tuple[str, ...] = (
    "Alder & Finch",
    "Birkdale",
    "Corvane",
    "Dunmere",
    "Eskholm",
    "Fairlow",
    "Greyfold",
    "Hollis Bay",
    "Inverley",
    "Juniper Works",
    "Kestrel Row",
    "Larkspur",
    "Morrowind Mill",
    "Northam",
    "Orrin",
    "Pellworth",
    "Quillon",
    "Rowan Street",
    "Saltmarsh",
    "Tamsin Vale",
)

PRODUCTS = 6
MAKES = 6


def draw_words(
    kind: NDArray[np.intp], generator: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Style, brand and make of every item, so that no title comes twice.

    kind (I,): number of the product, category * PRODUCTS + product, in ascending order.
    Returns three arrays (I,) of numbers into STYLES, BRANDS and the makes of the category.
    """
    combinations = len(STYLES) * len(BRANDS) * MAKES
    sizes = np.bincount(kind, minlength=len(AISLES) * PRODUCTS)
    assert sizes.max() <= combinations
    code = np.concatenate(
        [generator.permutation(combinations)[:size] for size in sizes if size]
    ).astype(np.intp)
    style, rest = np.divmod(code, len(BRANDS) * MAKES)
    brand, make = np.divmod(rest, MAKES)
    return style, brand, make


def write_items(
    kind: NDArray[np.intp],
    style: NDArray[np.intp],
    brand: NDArray[np.intp],
    make: NDArray[np.intp],
) -> pl.DataFrame:
    """item_id, title, description and category of every item, one row each, in the given order."""
    aisles = list(AISLES.values())
    category = kind // PRODUCTS
    names = pl.Series(list(AISLES))
    products = pl.Series([product for aisle in aisles for product in aisle.products])
    makes = pl.Series([make for aisle in aisles for make in aisle.makes])
    words = pl.DataFrame(
        {
            "number": np.arange(1, len(kind) + 1),
            "category": names.gather(category),
            "product": products.gather(kind),
            "make": makes.gather(category * MAKES + make),
            "style": pl.Series(list(STYLES)).gather(style),
            "manner": pl.Series(list(STYLES.values())).gather(style),
            "brand": pl.Series(BRANDS).gather(brand),
            "purpose": pl.Series([aisle.purpose for aisle in aisles]).gather(category),
        }
    )
    return words.select(
        item_id=pl.concat_str(
            pl.col("category").str.slice(0, 3).str.to_uppercase(),
            pl.lit("-"),
            pl.col("number").cast(pl.String).str.zfill(5),
        ),
        title=pl.concat_str("brand", "style", "make", "product", separator=" "),
        description=pl.format(
            "{}. {} {} by {}, {}.",
            "manner",
            "make",
            pl.col("product").str.to_lowercase(),
            "brand",
            "purpose",
        ),
        category="category",
    )
