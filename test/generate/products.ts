import type {Prompt} from '../../harness/plan/prompts-file.ts';
import {seededRandom} from './random.ts';

/** One attribute of a product: its name, and how a value is said in a listing. `{v}` the value. */
interface Attribute {
  readonly name: string;
  readonly values: readonly string[];
  readonly said: readonly string[];
}

interface Language {
  readonly name: string;
  readonly nouns: readonly string[];
  /** Openings of a listing; `{n}` the noun. */
  readonly openings: readonly string[];
  readonly asides: readonly string[];
  readonly attributes: readonly Attribute[];
  /** `{names}` the attributes asked for, `{text}` the listing. */
  readonly task: string;
  /** The answer where a listing does not say. */
  readonly unknown: string;
}

/**
 * Written for this project; nothing is taken from the data of any publication. Nouns, openings and asides say nothing about
 * any attribute, so that no answer is arguable; nouns and materials go together, whichever are drawn.
 */
const LANGUAGES: readonly Language[] = [
  {
    name: 'english',
    nouns: ['rain jacket', 'shoulder bag', 'sun hat', 'trail shoe', 'backpack', 'picnic blanket'],
    openings: ['For sale: a {n}.', 'Now in our shop: {n}.', 'We offer this {n} with a warranty.'],
    asides: [
      'Shipping within two days.',
      'The box is slightly dented.',
      'It was a gift.',
      'Please ask before you pay.',
    ],
    attributes: [
      {name: 'colour', values: ['red', 'navy', 'olive', 'grey'], said: ['It comes in {v}.', 'The colour is {v}.']},
      {
        name: 'material',
        values: ['cotton', 'linen', 'nylon', 'polyester'],
        said: ['Made of {v}.', 'The material is {v} throughout.'],
      },
      {name: 'weight', values: ['250 g', '480 g', '1.2 kg', '2 kg'], said: ['It weighs {v}.', 'Weight: {v}.']},
      {name: 'width', values: ['12 cm', '24 cm', '30 cm', '45 cm'], said: ['{v} wide.', 'Its width is {v}.']},
      {name: 'brand', values: ['Northvale', 'Quillon', 'Marisol', 'Tanebo'], said: ['By {v}.', 'The brand is {v}.']},
      {name: 'condition', values: ['new', 'like new', 'used'], said: ['Condition: {v}.', 'I would call it {v}.']},
      {name: 'season', values: ['summer', 'winter', 'all year'], said: ['Meant for {v}.', 'Season: {v}.']},
      {name: 'country', values: ['Portugal', 'Japan', 'Croatia'], said: ['It was made in {v}.', 'Origin: {v}.']},
    ],
    task: 'Read the listing and give these attributes as one JSON object: {names}. Write "not said" where it does not say.\n\n{text}',
    unknown: 'not said',
  },
  {
    name: 'croatian',
    nouns: ['kišna jakna', 'torba za rame', 'kapa', 'torba za laptop', 'deka za piknik', 'sportska bluza'],
    openings: ['Prodaje se {n}.', 'Od danas u trgovini: {n}.', 'Nudimo: {n}, uz jamstvo.'],
    asides: [
      'Slanje u roku od dva dana.',
      'Kutija je malo oštećena.',
      'Dobivena je na dar.',
      'Molim javite se prije kupnje.',
    ],
    attributes: [
      {name: 'boja', values: ['crvena', 'tamnoplava', 'maslinasta', 'siva'], said: ['Boja je {v}.', 'Boja: {v}.']},
      {
        name: 'materijal',
        values: ['pamuk', 'lan', 'najlon', 'poliester'],
        said: ['Materijal je {v}.', 'Materijal: {v}.'],
      },
      {name: 'težina', values: ['250 g', '480 g', '1,2 kg', '2 kg'], said: ['Teži {v}.', 'Težina: {v}.']},
      {name: 'širina', values: ['12 cm', '24 cm', '30 cm', '45 cm'], said: ['Široka je {v}.', 'Širina: {v}.']},
      {
        name: 'marka',
        values: ['Northvale', 'Quillon', 'Marisol', 'Tanebo'],
        said: ['Marka je {v}.', 'Proizvođač: {v}.'],
      },
      {name: 'stanje', values: ['novo', 'kao novo', 'rabljeno'], said: ['Stanje: {v}.', 'Rekla bih: {v}.']},
      {name: 'sezona', values: ['ljeto', 'zima', 'cijela godina'], said: ['Sezona: {v}.', 'Predviđena sezona je {v}.']},
      {
        name: 'zemlja',
        values: ['Portugal', 'Japan', 'Hrvatska'],
        said: ['Zemlja podrijetla: {v}.', 'Podrijetlo: {v}.'],
      },
    ],
    task: 'Pročitaj oglas i navedi ova svojstva kao jedan JSON objekt: {names}. Napiši "nije navedeno" gdje ih nema.\n\n{text}',
    unknown: 'nije navedeno',
  },
  {
    name: 'spanish',
    nouns: ['chaqueta de lluvia', 'bandolera', 'gorra', 'mochila', 'manta de pícnic', 'zapatilla de monte'],
    openings: ['Se vende {n}.', 'Ya en nuestra tienda: {n}.', 'Ofrecemos esta {n} con garantía.'],
    asides: [
      'Envío en dos días.',
      'La caja tiene un golpe pequeño.',
      'Fue un regalo.',
      'Pregunta antes de pagar, por favor.',
    ],
    attributes: [
      {name: 'color', values: ['rojo', 'azul marino', 'oliva', 'gris'], said: ['Color: {v}.', 'Es de color {v}.']},
      {
        name: 'material',
        values: ['algodón', 'lino', 'nailon', 'poliéster'],
        said: ['Hecha de {v}.', 'El material es {v}.'],
      },
      {name: 'peso', values: ['250 g', '480 g', '1,2 kg', '2 kg'], said: ['Pesa {v}.', 'Peso: {v}.']},
      {name: 'ancho', values: ['12 cm', '24 cm', '30 cm', '45 cm'], said: ['Mide {v} de ancho.', 'Ancho: {v}.']},
      {name: 'marca', values: ['Northvale', 'Quillon', 'Marisol', 'Tanebo'], said: ['Es de {v}.', 'La marca es {v}.']},
      {name: 'estado', values: ['nuevo', 'como nuevo', 'usado'], said: ['Estado: {v}.', 'El estado es {v}.']},
      {
        name: 'temporada',
        values: ['verano', 'invierno', 'todo el año'],
        said: ['Temporada: {v}.', 'Pensada para {v}.'],
      },
      {name: 'país', values: ['Portugal', 'Japón', 'Croacia'], said: ['Fabricada en {v}.', 'Origen: {v}.']},
    ],
    task: 'Lee el anuncio y da estos atributos como un objeto JSON: {names}. Escribe "no consta" donde no lo diga.\n\n{text}',
    unknown: 'no consta',
  },
  {
    name: 'japanese',
    nouns: ['レインジャケット', 'ショルダーバッグ', '帽子', 'リュックサック', 'ピクニックシート', 'トレイルシューズ'],
    openings: ['{n}を販売します。', '当店の{n}です。', '保証付きの{n}を出品します。'],
    asides: [
      '二日以内に発送します。',
      '箱に少しへこみがあります。',
      '贈り物でいただきました。',
      '購入前にご連絡ください。',
    ],
    attributes: [
      {name: '色', values: ['赤', '紺', 'オリーブ', '灰色'], said: ['色は{v}です。', 'カラー:{v}。']},
      {
        name: '素材',
        values: ['綿', '麻', 'ナイロン', 'ポリエステル'],
        said: ['素材は{v}です。', '{v}で作られています。'],
      },
      {name: '重さ', values: ['250g', '480g', '1.2kg', '2kg'], said: ['重さは{v}です。', '重量:{v}。']},
      {name: '幅', values: ['12cm', '24cm', '30cm', '45cm'], said: ['幅は{v}です。', '横幅:{v}。']},
      {
        name: 'ブランド',
        values: ['Northvale', 'Quillon', 'Marisol', 'Tanebo'],
        said: ['ブランドは{v}です。', '{v}製です。'],
      },
      {name: '状態', values: ['新品', '未使用に近い', '中古'], said: ['状態:{v}。', '状態は{v}と思います。']},
      {name: '季節', values: ['夏', '冬', '一年中'], said: ['季節:{v}。', '{v}向けです。']},
      {name: '国', values: ['ポルトガル', '日本', 'クロアチア'], said: ['原産国は{v}です。', '生産国:{v}。']},
    ],
    task: '次の出品文を読み、これらの属性を一つのJSONオブジェクトで答えてください:{names}。書かれていないものは「記載なし」とします。\n\n{text}',
    unknown: '記載なし',
  },
];

/** Attributes of one prompt, as asked; the listing does not name all of them. */
const ASKED = 5;
/** Prompts that the attributes of a product are parted into. */
export const PARTS = 4;

interface Drawn {
  readonly language: Language;
  readonly listing: string;
  /** What the listing says, by attribute; the others are not in it. */
  readonly said: ReadonlyMap<string, string>;
}

/** One listing, several attributes asked for in one prompt, some of which it does not name: the extraction task. */
export function attributePrompts({seed, perLanguage}: {readonly seed: number; readonly perLanguage: number}): Prompt[] {
  const random = seededRandom(seed);
  return drawn(perLanguage, random).map(({number, ...product}) => {
    const names = shuffled(product.language.attributes, random)
      .slice(0, ASKED)
      .map(({name}) => name);
    return promptOf(`${product.language.name}-${number}`, product, names);
  });
}

/**
 * All attributes of a product, parted at random into {@link PARTS} prompts that each hold the whole listing: the
 * catalogue task. The four prompts of a product follow each other.
 */
export function cataloguePrompts({seed, perLanguage}: {readonly seed: number; readonly perLanguage: number}): Prompt[] {
  const random = seededRandom(seed);
  return drawn(perLanguage, random).flatMap(({number, ...product}) => {
    const names = shuffled(product.language.attributes, random).map(({name}) => name);
    const size = names.length / PARTS;
    return Array.from({length: PARTS}, (_, part) =>
      promptOf(`${product.language.name}-${number}-${part + 1}`, product, names.slice(part * size, (part + 1) * size)),
    );
  });
}

function drawn(perLanguage: number, random: () => number): (Drawn & {readonly number: string})[] {
  const below = (limit: number) => Math.floor(random() * limit);
  const pick = (words: readonly string[]) => words[below(words.length)] ?? '';
  return Array.from({length: perLanguage}, (_, index) => index).flatMap((index) =>
    LANGUAGES.map((language) => {
      const told = shuffled(language.attributes, random).slice(0, 4 + below(language.attributes.length - 3));
      const values = told.map(({name, values: known, said}) => ({name, value: pick(known), sentence: pick(said)}));
      const sentences = values.map(({value, sentence}) => sentence.replace('{v}', value));
      const asides = shuffled(language.asides, random).slice(0, 1 + below(language.asides.length - 1));
      const opening = pick(language.openings).replace('{n}', pick(language.nouns));
      const gap = language.name === 'japanese' ? '' : ' ';
      return {
        number: String(index + 1).padStart(3, '0'),
        language,
        listing: [opening, ...shuffled([...sentences, ...asides], random)].join(gap),
        said: new Map(values.map(({name, value}) => [name, value])),
      };
    }),
  );
}

function promptOf(id: string, {language, listing, said}: Drawn, names: readonly string[]): Prompt {
  const answer = Object.fromEntries(names.map((name) => [name, said.get(name) ?? language.unknown]));
  const prompt = language.task.replace('{names}', names.join(', ')).replace('{text}', listing);
  return {id, language: language.name, prompt, answer: JSON.stringify(answer)};
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const rest = [...items];
  const out: Item[] = [];
  while (rest.length > 0) out.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return out;
}
