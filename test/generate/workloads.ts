import type {Prompt} from '../../harness/plan/prompts-file.ts';
import {seededRandom} from './random.ts';

/** Lengths of prompts and answers, in characters, as the dataset card of the paper's author gives them. */
export const PROMPT_CHARACTERS = {least: 73, most: 912} as const;
export const ANSWER_CHARACTERS = {least: 50, most: 78} as const;

interface Language {
  readonly name: string;
  readonly head: string;
  readonly user: string;
  readonly products: readonly string[];
  /** Bag, pack, bottle, can, pieces, box, jar: in this order in every language, as the products are. */
  readonly sizes: readonly string[];
  /** `{n}` the quantity, `{p}` the product. */
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

const [BAG, PACK, BOTTLE, CAN, PIECES, BOX, JAR] = [0, 1, 2, 3, 4, 5, 6] as const;
/** What each product comes in: nobody orders a bottle of rye bread. */
const SIZES_OF: readonly (readonly number[])[] = [
  [BAG, PACK, BOX], // oat crackers
  [BAG, PACK, BOX], // red lentils
  [BOTTLE, CAN], // pear juice
  [BAG, PACK], // smoked trout
  [BAG, PACK, BOX], // barley flakes
  [BAG, PACK], // goat cheese
  [JAR], // plum jam
  [PACK, PIECES], // rye bread
  [BAG, CAN, JAR], // green olives
  [BOTTLE], // walnut oil
  [BAG, BOX], // black tea
  [BAG, PACK, BOX], // cocoa powder
  [PACK, CAN, JAR], // chickpeas
  [BAG, PACK, BOX], // brown rice
  [BOTTLE], // apple vinegar
  [PACK, BOX], // honey granola
  [BAG, PACK], // dried figs
  [BOTTLE, CAN], // tomato soup
  [PACK, PIECES], // corn tortillas
  [JAR], // almond butter
  [BAG, BOX], // sea salt
  [BAG, PIECES, BOX], // ginger cookies
  [BAG, PACK, BOX], // frozen peas
  [PACK, PIECES], // soy yogurt
];

/** Written for this project; no text is taken from the paper's data. */
const LANGUAGES: readonly Language[] = [
  {
    name: 'english',
    head: 'Catalog:',
    user: 'User:',
    products: [
      'Oat Crackers',
      'Red Lentils',
      'Pear Juice',
      'Smoked Trout',
      'Barley Flakes',
      'Goat Cheese',
      'Plum Jam',
      'Rye Bread',
      'Green Olives',
      'Walnut Oil',
      'Black Tea',
      'Cocoa Powder',
      'Chickpeas',
      'Brown Rice',
      'Apple Vinegar',
      'Honey Granola',
      'Dried Figs',
      'Tomato Soup',
      'Corn Tortillas',
      'Almond Butter',
      'Sea Salt',
      'Ginger Cookies',
      'Frozen Peas',
      'Soy Yogurt',
    ],
    sizes: ['200g bag', '500g pack', '1l bottle', '330ml can', '6 pieces', '750g box', '350g jar'],
    add: [
      'Could you put {n} {p} into my basket, please?',
      'I need {n} of the {p}.',
      'add {n} {p}',
      "Let's take {n} {p} this week.",
      'My guests love it, so give me {n} {p} more.',
      'Please order {n} x {p} together with the rest.',
    ],
    remove: [
      'Take {n} {p} out of the cart.',
      'Sorry, I no longer want {n} {p}.',
      'remove {n} {p}',
      'Drop {n} of the {p}, we have plenty at home.',
      'That was a slip: {n} {p} must go.',
      'Please cancel {n} {p} before I pay.',
    ],
  },
  {
    name: 'croatian',
    head: 'Katalog:',
    user: 'Korisnik:',
    products: [
      'Zobeni keksi',
      'Crvena leća',
      'Sok od kruške',
      'Dimljena pastrva',
      'Ječmene pahuljice',
      'Kozji sir',
      'Džem od šljiva',
      'Raženi kruh',
      'Zelene masline',
      'Orahovo ulje',
      'Crni čaj',
      'Kakao prah',
      'Slanutak',
      'Smeđa riža',
      'Jabučni ocat',
      'Granola s medom',
      'Suhe smokve',
      'Juha od rajčice',
      'Kukuruzne tortilje',
      'Bademov maslac',
      'Morska sol',
      'Keksi s đumbirom',
      'Smrznuti grašak',
      'Sojin jogurt',
    ],
    sizes: ['vrećica 200g', 'paket 500g', 'boca 1l', 'limenka 330ml', '6 komada', 'kutija 750g', 'staklenka 350g'],
    add: [
      'Molim te, stavi {n} {p} u košaricu.',
      'Trebam {n} puta {p}.',
      'dodaj {n} {p}',
      'Ovaj tjedan uzimam {n} {p}.',
      'Dolaze mi gosti pa dodaj još {n} {p}.',
      'Naruči {n} x {p} uz ostalo.',
    ],
    remove: [
      'Izvadi {n} {p} iz košarice.',
      'Oprosti, više ne želim {n} {p}.',
      'makni {n} {p}',
      'Odustajem od {n} {p}, imamo dovoljno kod kuće.',
      'Pogriješila sam: {n} {p} mora van.',
      'Otkaži {n} {p} prije nego što platim.',
    ],
  },
  {
    name: 'spanish',
    head: 'Catálogo:',
    user: 'Usuario:',
    products: [
      'Galletas de avena',
      'Lentejas rojas',
      'Zumo de pera',
      'Trucha ahumada',
      'Copos de cebada',
      'Queso de cabra',
      'Confitura de ciruela',
      'Pan de centeno',
      'Aceitunas verdes',
      'Aceite de nuez',
      'Té negro',
      'Cacao en polvo',
      'Garbanzos',
      'Arroz integral',
      'Vinagre de manzana',
      'Granola con miel',
      'Higos secos',
      'Sopa de tomate',
      'Tortillas de maíz',
      'Crema de almendra',
      'Sal marina',
      'Galletas de jengibre',
      'Guisantes',
      'Yogur de soja',
    ],
    sizes: ['bolsa 200g', 'paquete 500g', 'botella 1l', 'lata 330ml', '6 unidades', 'caja 750g', 'tarro 350g'],
    add: [
      '¿Puedes poner {n} {p} en mi cesta, por favor?',
      'Necesito {n} de {p}.',
      'añade {n} {p}',
      'Esta semana me llevo {n} {p}.',
      'Vienen invitados, así que agrega {n} {p} más.',
      'Pide {n} x {p} junto con lo demás.',
    ],
    remove: [
      'Saca {n} {p} del carrito.',
      'Perdona, ya no quiero {n} {p}.',
      'quita {n} {p}',
      'Elimina {n} de {p}, en casa tenemos de sobra.',
      'Ha sido un error: fuera {n} {p}.',
      'Cancela {n} {p} antes de que pague.',
    ],
  },
  {
    name: 'japanese',
    head: 'カタログ:',
    user: 'ユーザー:',
    products: [
      'オーツクラッカー',
      '赤レンズ豆',
      '洋なしジュース',
      'スモークトラウト',
      '大麦フレーク',
      'ヤギのチーズ',
      'プラムジャム',
      'ライ麦パン',
      'グリーンオリーブ',
      'くるみオイル',
      '紅茶',
      'ココアパウダー',
      'ひよこ豆',
      '玄米',
      'りんご酢',
      'はちみつグラノーラ',
      '干しいちじく',
      'トマトスープ',
      'コーントルティーヤ',
      'アーモンドバター',
      '海の塩',
      'ジンジャークッキー',
      '冷凍グリーンピース',
      '豆乳ヨーグルト',
    ],
    sizes: ['200g入り袋', '500gパック', '1リットル瓶', '330ml缶', '6個入り', '750g箱', '350g入り瓶'],
    add: [
      '{p}を{n}個カートに入れてください。',
      '{p}が{n}つ必要です。',
      '{p}を{n}個追加',
      '今週は{p}を{n}個お願いします。',
      'お客さんが来るので、{p}をあと{n}個足してください。',
      'ほかの品と一緒に{p}を{n}個注文します。',
    ],
    remove: [
      'カートから{p}を{n}個取り出してください。',
      'すみません、{p}{n}個はもう要りません。',
      '{p}を{n}個削除',
      '家に十分あるので、{p}を{n}個減らしてください。',
      '間違えました。{p}を{n}個外してください。',
      '支払う前に{p}を{n}個取り消してください。',
    ],
  },
];

/**
 * The e-commerce intent task: a catalogue and a wish, and the JSON a model should answer with. As the paper's task in
 * form and length, not in content.
 */
export function intentPrompts({seed, perLanguage}: {readonly seed: number; readonly perLanguage: number}): Prompt[] {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const pick = (words: readonly string[]) => words[below(words.length)] ?? '';
  const sizeOf = ({sizes, products}: Language, name: string): string =>
    pick((SIZES_OF[products.indexOf(name)] ?? []).map((size) => sizes[size] ?? ''));
  const prompts: Prompt[] = [];
  for (let index = 0; index < perLanguage; index++) {
    for (const language of LANGUAGES) {
      const names = shuffled(language.products, random);
      const rows = names.map((name) => `${name} (${sizeOf(language, name)})`);
      // From two rows to all of them: short and long prompts alike.
      const listed = 2 + below(rows.length - 1);
      const action = random() < 0.6 ? 'add' : 'remove';
      const quantity = 1 + below(9);
      const wish = pick(language[action]);
      const answer = (product: string) => `{"action": "${action}", "product": "${product}", "quantity": ${quantity}}`;
      const fitting = rows.filter((row) => within(answer(row), ANSWER_CHARACTERS));
      const wanted = pick(fitting);
      const text = (count: number) => {
        const shown = [...new Set([...rows.slice(0, count), wanted])];
        const said = wish.replace('{n}', String(quantity)).replace('{p}', wanted);
        return `${language.head}\n${shown.join('\n')}\n\n${language.user}\n${said}`;
      };
      let count = listed;
      while (characters(text(count)) < PROMPT_CHARACTERS.least && count < rows.length) count++;
      while (characters(text(count)) > PROMPT_CHARACTERS.most && count > 1) count--;
      prompts.push({
        id: `${language.name}-${String(index + 1).padStart(3, '0')}`,
        language: language.name,
        prompt: text(count),
        answer: answer(wanted),
      });
    }
  }
  return prompts;
}

export function jsonLines(records: readonly unknown[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

/** Code points, as Python's len counts them. */
export function characters(text: string): number {
  return [...text].length;
}

function within(text: string, {least, most}: {readonly least: number; readonly most: number}): boolean {
  return characters(text) >= least && characters(text) <= most;
}

function shuffled(words: readonly string[], random: () => number): string[] {
  const rest = [...words];
  const drawn: string[] = [];
  while (rest.length > 0) drawn.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return drawn;
}
