// How does the page speak? Its own words in some languages; English where one is missing.
const order = ["search", "placeholder", "hint", "keys", "language", "auto", "find_language", "add_picture",
  "remove_picture", "results", "found", "none", "failed", "skip", "drop", "more", "open", "close",
  "previous", "next", "score", "rank", "file", "taken", "caption", "size", "answered", "model",
  "pack", "like", "copies", "query_language", "image_side"];
const rows = {
  en: "Search pictures|Type in any language|Drop or paste a picture|/ to type, arrows to move, Enter to open|Language|Detect language|Find a language|Add a picture|Remove the picture|Results|Pictures: {n}|Nothing found|The server did not answer; try again|To the results|Drop the picture here|More like this|Open the picture|Close|Previous|Next|Score|Rank|File|Taken|Caption|Size|answered by {who}|the model itself|language pack {who}|Like {name}|Copies folded|Language of the query|the picture side",
  de: "Bilder suchen|In jeder Sprache tippen|Bild hierher ziehen oder einfügen|/ zum Tippen, Pfeile zum Bewegen, Enter zum Öffnen|Sprache|Sprache erkennen|Sprache finden|Bild hinzufügen|Bild entfernen|Ergebnisse|Bilder: {n}|Nichts gefunden|Der Server hat nicht geantwortet; bitte noch einmal|Zu den Ergebnissen|Bild hier ablegen|Mehr davon|Bild öffnen|Schließen|Zurück|Weiter|Ähnlichkeit|Rang|Datei|Aufgenommen|Bildtext|Größe|beantwortet von {who}|dem Modell selbst|Sprachpaket {who}|Ähnlich wie {name}|Kopien zusammengefasst|Sprache der Anfrage|der Bildseite",
  fr: "Chercher des images|Écrivez dans n’importe quelle langue|Déposez ou collez une image|/ pour écrire, flèches pour se déplacer, Entrée pour ouvrir|Langue|Détecter la langue|Trouver une langue|Ajouter une image|Retirer l’image|Résultats|Images : {n}|Aucun résultat|Le serveur n’a pas répondu ; réessayez|Aller aux résultats|Déposez l’image ici|Images semblables|Ouvrir l’image|Fermer|Précédent|Suivant|Score|Rang|Fichier|Prise le|Légende|Taille|réponse : {who}|le modèle lui-même|pack de langues {who}|Semblable à {name}|Copies regroupées|Langue de la requête|le côté image",
  es: "Buscar imágenes|Escribe en cualquier idioma|Suelta o pega una imagen|/ para escribir, flechas para moverse, Intro para abrir|Idioma|Detectar idioma|Buscar un idioma|Añadir una imagen|Quitar la imagen|Resultados|Imágenes: {n}|Sin resultados|El servidor no respondió; inténtalo de nuevo|Ir a los resultados|Suelta la imagen aquí|Más como esta|Abrir la imagen|Cerrar|Anterior|Siguiente|Puntuación|Posición|Archivo|Tomada|Leyenda|Tamaño|respuesta: {who}|el propio modelo|paquete de idiomas {who}|Como {name}|Copias agrupadas|Idioma de la consulta|el lado de imagen",
  it: "Cerca immagini|Scrivi in qualsiasi lingua|Trascina o incolla un’immagine|/ per scrivere, frecce per muoversi, Invio per aprire|Lingua|Rileva lingua|Trova una lingua|Aggiungi un’immagine|Rimuovi l’immagine|Risultati|Immagini: {n}|Nessun risultato|Il server non ha risposto; riprova|Vai ai risultati|Rilascia qui l’immagine|Altre simili|Apri l’immagine|Chiudi|Precedente|Successiva|Punteggio|Posizione|File|Scattata|Didascalia|Dimensione|risposta: {who}|il modello stesso|pacchetto linguistico {who}|Simile a {name}|Copie raggruppate|Lingua della ricerca|il lato immagine",
  pt: "Procurar imagens|Escreva em qualquer língua|Solte ou cole uma imagem|/ para escrever, setas para mover, Enter para abrir|Língua|Detetar a língua|Encontrar uma língua|Adicionar uma imagem|Remover a imagem|Resultados|Imagens: {n}|Nada encontrado|O servidor não respondeu; tente de novo|Ir para os resultados|Solte a imagem aqui|Mais como esta|Abrir a imagem|Fechar|Anterior|Seguinte|Pontuação|Posição|Ficheiro|Data|Legenda|Tamanho|resposta: {who}|o próprio modelo|pacote de línguas {who}|Como {name}|Cópias agrupadas|Língua da pesquisa|o lado da imagem",
  nl: "Afbeeldingen zoeken|Typ in elke taal|Sleep of plak een afbeelding|/ om te typen, pijlen om te bewegen, Enter om te openen|Taal|Taal herkennen|Taal zoeken|Afbeelding toevoegen|Afbeelding verwijderen|Resultaten|Afbeeldingen: {n}|Niets gevonden|De server gaf geen antwoord; probeer het opnieuw|Naar de resultaten|Zet de afbeelding hier neer|Meer zoals deze|Afbeelding openen|Sluiten|Vorige|Volgende|Score|Positie|Bestand|Genomen|Bijschrift|Grootte|beantwoord door {who}|het model zelf|taalpakket {who}|Zoals {name}|Kopieën samengevoegd|Taal van de vraag|de beeldkant",
  ru: "Поиск изображений|Пишите на любом языке|Перетащите или вставьте картинку|/ — ввод, стрелки — переход, Enter — открыть|Язык|Определить язык|Найти язык|Добавить изображение|Убрать изображение|Результаты|Изображений: {n}|Ничего не найдено|Сервер не ответил; попробуйте ещё раз|К результатам|Отпустите картинку здесь|Похожие|Открыть изображение|Закрыть|Назад|Вперёд|Сходство|Место|Файл|Снято|Подпись|Размер|ответ: {who}|сама модель|языковой пакет {who}|Похоже на {name}|Объединено копий|Язык запроса|по изображению",
  ar: "البحث عن الصور|اكتب بأي لغة|أفلت صورة أو الصقها|/ للكتابة، الأسهم للتنقل، Enter للفتح|اللغة|اكتشاف اللغة|ابحث عن لغة|إضافة صورة|إزالة الصورة|النتائج|عدد الصور: {n}|لا توجد نتائج|لم يُجب الخادم؛ حاول مرة أخرى|إلى النتائج|أفلت الصورة هنا|صور مشابهة|فتح الصورة|إغلاق|السابق|التالي|التشابه|الترتيب|الملف|تاريخ الالتقاط|الوصف|الحجم|أجاب: {who}|النموذج نفسه|حزمة اللغات {who}|مشابه لـ {name}|نسخ مدمجة|لغة البحث|جانب الصور",
  he: "חיפוש תמונות|אפשר לכתוב בכל שפה|אפשר לגרור או להדביק תמונה|/ להקלדה, חיצים לתנועה, Enter לפתיחה|שפה|זיהוי השפה|חיפוש שפה|הוספת תמונה|הסרת התמונה|תוצאות|תמונות: {n}|לא נמצאו תוצאות|השרת לא ענה; נסו שוב|אל התוצאות|שחררו את התמונה כאן|עוד כאלה|פתיחת התמונה|סגירה|הקודם|הבא|דמיון|מקום|קובץ|צולם|כיתוב|גודל|ענה: {who}|המודל עצמו|חבילת השפות {who}|דומה ל־{name}|עותקים שאוחדו|שפת החיפוש|צד התמונה",
  zh: "搜索图片|用任何语言输入|可拖入或粘贴图片|按 / 输入，方向键移动，Enter 打开|语言|自动检测语言|查找语言|添加图片|移除图片|结果|图片：{n}|没有结果|服务器没有响应，请重试|跳到结果|将图片放在这里|更多类似图片|打开图片|关闭|上一张|下一张|相似度|排名|文件|拍摄时间|说明|大小|由{who}回答|模型本身|语言包 {who}|类似 {name}|合并的副本|查询语言|图像端",
  ja: "画像を検索|どの言語でも入力できます|画像をドロップまたは貼り付け|/ で入力、矢印で移動、Enter で開く|言語|言語を自動検出|言語を探す|画像を追加|画像を外す|結果|画像：{n}|見つかりませんでした|サーバーが応答しません。もう一度お試しください|結果へ|ここに画像をドロップ|似た画像|画像を開く|閉じる|前へ|次へ|類似度|順位|ファイル|撮影日時|説明|サイズ|回答：{who}|モデル自身|言語パック {who}|{name} に似た画像|まとめたコピー|検索の言語|画像側",
};
const table = Object.fromEntries(Object.entries(rows).map(([tag, row]) => {
  const words = row.split("|");
  return [tag, Object.fromEntries(order.map((name, i) => [name, words[i]]))];
}));
let spoken = "en";

/** The words for a tag such as zh-Hant-TW; Chinese in Traditional letters has none of its own. */
export const speaks = (tag) => {
  const short = (tag ?? "").toLowerCase();
  if (/^zh-(hant|tw|hk|mo)/.test(short)) return null;
  const base = short.split("-")[0];
  return table[base] ? base : null;
};

/** One word or sentence of the page, with what stands in its braces. */
export const word = (name, values = {}) =>
  Object.entries(values).reduce((text, [key, value]) => text.replace(`{${key}}`, value),
    table[spoken][name] ?? table.en[name] ?? name);

export const locale = () => spoken;
export const names = order;

/** Bring the whole page into a language: its words, their language tag and its direction. */
export const speak = (tag, direction) => {
  spoken = speaks(tag) ?? "en";
  const root = document.documentElement;
  root.lang = spoken;
  root.dir = direction ?? (["ar", "he"].includes(spoken) ? "rtl" : "ltr");
  for (const node of document.querySelectorAll("[data-word]"))
    node.textContent = word(node.dataset.word);
  for (const node of document.querySelectorAll("[data-label]"))
    node.setAttribute("aria-label", word(node.dataset.label));
  for (const node of document.querySelectorAll("[data-placeholder]"))
    node.placeholder = word(node.dataset.placeholder);
  for (const node of document.querySelectorAll("[data-title]"))
    node.title = word(node.dataset.title);
};
